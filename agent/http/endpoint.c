/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoint: a page that lists a registry's servers
 *
 * It is looked at again and again, by one transfer at a time. Only a page with at least one server, all of whose lines
 * are addresses (serverlist.c), changes anything: whatever else comes (silence, an error, an empty page, another page) the
 * last good list stays, and the next look comes sooner, with back-off and jitter, so that a list that is missed
 * is found soon and a hundred agents do not ask at once.
 *
 * The last good list is kept in a file, for an agent that starts while the page is away. Writing it is no matter of
 * life: what goes wrong is said once. The sender's thread only.
 */
#include "http/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "beat/jitter.h"
#include "http/curl_glue.h"
#include "http/https.h"

#define INTERVAL_MS 30000u
#define RETRY_FIRST_MS 1000u
#define BODY_MAX 32768u
#define SNAPSHOT_TEXT_MAX (SERVERLIST_MAX * (SERVERLIST_URL_SIZE))

struct endpoint {
	struct endpoint_options options;
	struct registry_tls tls;
	struct https_link link;
	struct curl_glue glue;
	struct curl_slist *route;
	CURL *easy;
	bool asking;
	bool in_trouble; /* and the log knows */
	uint32_t n_failures;
	uint32_t seed;
	uint64_t due_ms; /* of the next look */
	struct serverlist list;
	struct serverlist fresh;
	size_t n_body;
	char body[BODY_MAX];
	char error[CURL_ERROR_SIZE];
};

static size_t take_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct endpoint *e = ctx;

	(void)size; /* is always 1 */
	if (n > sizeof(e->body) - e->n_body)
		return 0;
	memcpy(e->body + e->n_body, bytes, n);
	e->n_body += n;
	return n;
}

static void plan(struct endpoint *e)
{
	uint32_t wait_ms = e->options.interval_ms;

	if (e->n_failures > 0 && e->n_failures < 6 &&
	    RETRY_FIRST_MS << (e->n_failures - 1) < wait_ms)
		wait_ms = RETRY_FIRST_MS << (e->n_failures - 1);
	e->due_ms = clock_now_ms() + wait_ms - wait_ms / 10 + jitter_upto(&e->seed, wait_ms / 5);
}

static int write_snapshot(const char *path, const char *text, size_t n)
{
	CLEANUP(free_p) char *fresh = NULL;
	CLEANUP(close_fdp) int fd = -1;

	if (asprintf(&fresh, "%s.new", path) < 0) {
		fresh = NULL;
		return -ENOMEM;
	}
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	errno = EIO; /* of a short write */
	if (write(fd, text, n) != (ssize_t)n || rename(fresh, path) < 0) {
		int r = -errno;

		(void)unlink(fresh);
		return r;
	}
	return 0;
}

static void keep(struct endpoint *e)
{
	CLEANUP(free_p) char *text = malloc(SNAPSHOT_TEXT_MAX);
	size_t n = 0;
	int r = -ENOMEM;

	if (!e->options.snapshot)
		return;
	for (uint32_t i = 0; text && i < e->list.n; i++)
		n += (size_t)snprintf(text + n, SNAPSHOT_TEXT_MAX - n, "%s\n", e->list.urls[i]);
	if (text)
		r = write_snapshot(e->options.snapshot, text, n);
	if (r < 0)
		log_warning("endpoint.snapshot",
			    "registry=%s file=%s error=%s next=\"gone on without\"",
			    e->options.registry, LOG_Q(e->options.snapshot), LOG_Q(strerror(-r)));
}

int endpoint_snapshot(const char *path, bool tls, struct serverlist *out)
{
	CLEANUP(free_p) char *text = malloc(SNAPSHOT_TEXT_MAX);
	CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char why[SERVERLIST_WHY_SIZE];
	ssize_t n;

	out->n = 0;
	if (fd < 0)
		return -errno;
	if (!text)
		return -ENOMEM;
	n = read(fd, text, SNAPSHOT_TEXT_MAX);
	if (n < 0)
		return -errno;
	return serverlist_read(200, text, (size_t)n, tls, out, why) ? 0 : -EBADMSG;
}

static void failed(struct endpoint *e, const char *why)
{
	e->n_failures++;
	if (!e->in_trouble)
		log_warning("endpoint.bad", "registry=%s endpoint=%s error=%s next=\"%s\"",
			    e->options.registry, LOG_Q(e->options.url), LOG_Q(why),
			    "the last good list stays, and it is asked again");
	e->in_trouble = true;
}

static void take_page(struct endpoint *e, int status)
{
	char why[SERVERLIST_WHY_SIZE];

	if (!serverlist_read(status, e->body, e->n_body, e->options.https, &e->fresh, why)) {
		failed(e, why);
		return;
	}
	if (e->in_trouble)
		log_info("endpoint.good", "registry=%s endpoint=%s servers=%u", e->options.registry,
			 LOG_Q(e->options.url), e->fresh.n);
	e->in_trouble = false;
	e->n_failures = 0;
	if (serverlist_equal(&e->list, &e->fresh))
		return;
	e->list = e->fresh;
	keep(e);
	e->options.changed(e->options.ctx, &e->list);
}

static void on_end(void *ctx, CURL *easy, CURLcode code)
{
	struct endpoint *e = ctx;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_glue_stop(&e->glue, easy);
	e->asking = false;
	if (code != CURLE_OK)
		failed(e, e->error[0] ? e->error : curl_easy_strerror(code));
	else
		take_page(e, (int)status);
	plan(e);
}

static int make_easy(struct endpoint *e)
{
	const struct endpoint_options *o = &e->options;

	e->tls = *o->tls;
	e->tls.server_name = NULL;
	e->link = (struct https_link){ .tls = &e->tls, .proxy = o->proxy };
	e->easy = https_easy(&e->glue, &e->link, o->url, e->error, &e->route);
	if (!e->easy)
		return -ENOMEM;
	curl_easy_setopt(e->easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(e->easy, CURLOPT_WRITEDATA, e);
	curl_easy_setopt(e->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
	curl_easy_setopt(e->easy, CURLOPT_TIMEOUT_MS, (long)o->total_ms);
	curl_easy_setopt(e->easy, CURLOPT_FORBID_REUSE, 1L);
	return curl_easy_setopt(e->easy, CURLOPT_USERAGENT, CURL_GLUE_AGENT) == CURLE_OK ? 0
											 : -ENOMEM;
}

int endpoint_new(struct endpoint **out, struct loop *loop, const struct endpoint_options *options)
{
	struct endpoint *e = calloc(1, sizeof(*e));
	int r;

	*out = NULL;
	if (!e)
		return -ENOMEM;
	e->options = *options;
	if (e->options.interval_ms == 0)
		e->options.interval_ms = INTERVAL_MS;
	e->seed = jitter_seed((uint32_t)clock_now_ms() ^ (uint32_t)getpid());
	r = curl_glue_init(&e->glue, loop, on_end, e);
	if (r == 0)
		r = make_easy(e);
	if (r < 0)
		e = endpoint_free(e);
	*out = e;
	return r;
}

struct endpoint *endpoint_free(struct endpoint *e)
{
	if (!e)
		return NULL;
	if (e->asking)
		curl_glue_stop(&e->glue, e->easy);
	if (e->easy)
		curl_easy_cleanup(e->easy);
	curl_slist_free_all(e->route);
	curl_glue_deinit(&e->glue);
	free(e);
	return NULL;
}

void endpoint_tick(struct endpoint *e, uint64_t now_ms)
{
	curl_glue_tick(&e->glue, now_ms);
	if (e->asking || now_ms < e->due_ms)
		return;
	e->n_body = 0;
	e->error[0] = '\0';
	e->asking = curl_glue_start(&e->glue, e->easy) == 0;
	if (!e->asking) {
		failed(e, "out of memory");
		plan(e);
	}
}

uint64_t endpoint_due_ms(const struct endpoint *e)
{
	uint64_t glue_ms = curl_glue_due_ms(&e->glue);

	return e->asking || glue_ms < e->due_ms ? glue_ms : e->due_ms;
}
