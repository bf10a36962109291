/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_EXCHANGE_H
#define REGISTRY_EXCHANGE_H

#include <microhttpd.h>

struct httpd;
struct node;

/* Callbacks of the library; cls is the node. */
enum MHD_Result exchange_on_request(void *cls, struct MHD_Connection *con, const char *url,
				    const char *method, const char *version, const char *upload,
				    size_t *upload_size, void **context);
void *exchange_on_target(void *cls, const char *target, struct MHD_Connection *con);
void exchange_on_connection(void *cls, struct MHD_Connection *con, void **context,
			    enum MHD_ConnectionNotificationCode what);
void exchange_on_completed(void *cls, struct MHD_Connection *con, void **context,
			   enum MHD_RequestTerminationCode why);

/* Milliseconds until a reply that waits is due; INT_MAX when none waits. */
double exchange_next_ms(const struct httpd *s);
void exchange_resume_due(struct httpd *s);
/* All that wait at a node, due or not. */
void exchange_resume_all(struct node *n);

#endif
