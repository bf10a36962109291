/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_HTTPD_H
#define REGISTRY_HTTPD_H

#include "api.h"
#include "fault.h"
#include "reqlog.h"

struct MHD_Daemon;

TAILQ_HEAD(exchanges, exchange);

struct httpd_options {
	const struct mode *mode;
	double time_scale;
	unsigned int keepalive_requests; /* a connection carries this many; 0 is no limit */
	const char *log_path;            /* or NULL */
};

struct httpd {
	struct httpd_options options;
	struct api api;
	struct reqlog log;
	struct faults faults;
	struct exchanges waiting;
	struct MHD_Daemon *daemon;
	unsigned int idle_s;
	uint64_t started_ms;
};

/* Serves on a listening socket, which it takes over when it succeeds. Returns 0, or a negative
 * errno with a message in error. */
int httpd_init(struct httpd *s, int listen_fd, const struct httpd_options *options, char *error,
	       size_t error_size);
void httpd_deinit(struct httpd *s);

/* Runs until stop_fd is readable. Returns 0 or a negative errno. */
int httpd_run(struct httpd *s, int stop_fd);

#endif
