/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_API_H
#define NACOS_API_H

enum nacos_version {
	NACOS_V1, /* 1.4 to 3.1: beats of their own, replies in the HTTP status */
	NACOS_V3  /* 3.0 and later: a beat is a POST, replies are results with a code */
};

static inline const char *nacos_version_name(enum nacos_version version)
{
	return version == NACOS_V1 ? "v1" : "v3";
}

/* How a registry is spoken to. */
struct nacos_api {
	enum nacos_version version;
	const char *context; /* context path, "/nacos" or "" */
};

#endif
