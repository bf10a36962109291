/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_REFUSAL_H
#define REGISTRY_REFUSAL_H

struct api;
struct api_reply;
struct api_request;

/* Why a call on an instance is refused. */
enum refusal {
	REFUSAL_MISSING,  /* a required parameter */
	REFUSAL_VALUE,    /* a number or boolean that is none */
	REFUSAL_ILLEGAL,  /* a parameter that breaks a rule */
	REFUSAL_METADATA, /* not to be parsed */
	REFUSAL_WEIGHT,
	REFUSAL_INSTANCE, /* as a whole: cluster name, beat settings, kind */
	REFUSAL_UNKNOWN,  /* there is none such */
	REFUSAL_NO_SERVICE,
	REFUSAL_FAILURE, /* of the server, whoever's fault it is */
	REFUSAL_MEMORY,
};

/* Writes the reply as the API version that was called and the mode would. */
void refuse(const struct api *api, const struct api_request *req, struct api_reply *out,
	    enum refusal why, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void refuse_missing(const struct api *api, const struct api_request *req, struct api_reply *out,
		    const char *name, const char *java_type);
void refuse_number(const struct api *api, const struct api_request *req, struct api_reply *out,
		   const char *text);

#endif
