/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's multi interface on our loop
 *
 * Sockets. libcurl says after every step which events it waits for. Obeyed to the letter that is
 * two epoll_ctl calls a request, the dearest of all ways to drive it, so it is obeyed lazily:
 * "nothing more from this one" is only noted, a bit is added when it is missing, and one too many
 * is taken out when it fires. The end of a socket is then learned from the close callback, because
 * the number may be another socket's the next moment. That works for sockets that our open callback
 * made. The others (a resolver thread's pair) are closed without a word, and are watched to the
 * letter.
 *
 * Time. libcurl's timer is a due time. Its callback only notes it, because libcurl may not be
 * entered from there. libcurl does not repeat a timer that it believes set, so it is asked for the
 * rest after a firing.
 *
 * Ends. Finished transfers are handed out after libcurl has returned, one by one; the callee may
 * take handles out and put others in.
 */
#include "http/curl_glue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/curl_memory.h"

struct curl_glue_socket {
	struct curl_glue_socket *next;
	struct curl_glue *glue;
	int fd;
	uint32_t wanted;  /* what libcurl waits for */
	uint32_t watched; /* what epoll was told */
	uint64_t watch;
	bool ours; /* made by our open callback: its end will be told */
	bool handed_over;
};

static struct curl_glue_socket *socket_find(struct curl_glue *glue, int fd)
{
	struct curl_glue_socket *s = glue->sockets;

	while (s && s->fd != fd)
		s = s->next;
	return s;
}

static struct curl_glue_socket *socket_new(struct curl_glue *glue, int fd)
{
	struct curl_glue_socket *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct curl_glue_socket){
		.next = glue->sockets,
		.glue = glue,
		.fd = fd,
		.watch = LOOP_NO_WATCH,
	};
	glue->sockets = s;
	return s;
}

static void socket_unwatch(struct curl_glue_socket *s)
{
	loop_remove(s->glue->loop, &s->watch, s->fd);
	s->watched = 0;
}

static void socket_free(struct curl_glue_socket *s)
{
	struct curl_glue_socket **at = &s->glue->sockets;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	socket_unwatch(s);
	free(s);
}

static void on_socket(void *ctx, uint32_t events);

/* Brings epoll in line with what is wanted. */
static int socket_watch(struct curl_glue_socket *s)
{
	int r;

	if (s->watch == LOOP_NO_WATCH)
		r = loop_add(s->glue->loop, s->fd, s->wanted, on_socket, s, &s->watch);
	else
		r = loop_modify(s->glue->loop, s->watch, s->fd, s->wanted);
	if (r == 0)
		s->watched = s->wanted;
	return r;
}

static void hand_out(struct curl_glue *glue)
{
	CURLMsg *msg;
	int n_left;

	while ((msg = curl_multi_info_read(glue->multi, &n_left)) != NULL) {
		CURL *easy = msg->easy_handle;
		CURLcode code = msg->data.result;

		if (msg->msg == CURLMSG_DONE)
			glue->done(glue->ctx, easy, code);
	}
}

static void on_socket(void *ctx, uint32_t events)
{
	struct curl_glue_socket *s = ctx;
	struct curl_glue *glue = s->glue;
	uint32_t told = events & (s->wanted | EPOLLERR | EPOLLHUP);
	int flags = 0;
	int n_running;

	if (s->wanted == 0) {
		/* An idle connection that the server closed: libcurl will see when it needs it. */
		socket_unwatch(s);
		return;
	}
	if (told == 0) {
		(void)socket_watch(s);
		return;
	}
	if (told & EPOLLIN)
		flags |= CURL_CSELECT_IN;
	if (told & EPOLLOUT)
		flags |= CURL_CSELECT_OUT;
	if (told & (EPOLLERR | EPOLLHUP))
		flags |= CURL_CSELECT_ERR;
	curl_multi_socket_action(glue->multi, s->fd, flags, &n_running);
	hand_out(glue);
}

/*
 * CURLMOPT_SOCKETFUNCTION; never an error, which libcurl 7.88 does not survive: a transfer whose
 * socket could not be watched ends by its time-out.
 */
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned)
{
	struct curl_glue *glue = ctx;
	struct curl_glue_socket *s = assigned ? assigned : socket_find(glue, fd);

	(void)easy;
	if (!s)
		s = socket_new(glue, fd);
	if (!s || s->handed_over)
		return 0;
	if (!assigned)
		curl_multi_assign(glue->multi, fd, s);
	s->wanted = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	if (s->wanted == 0) { /* CURL_POLL_REMOVE */
		if (!s->ours)
			socket_free(s);
		return 0;
	}
	if (s->wanted & ~s->watched)
		(void)socket_watch(s);
	return 0;
}

/* CURLMOPT_TIMERFUNCTION; one millisecond more, because the two clocks round differently. */
static int want_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct curl_glue *glue = ctx;

	(void)multi;
	if (timeout_ms < 0)
		glue->due_ms = CLOCK_NEVER;
	else
		glue->due_ms = timeout_ms == 0 ? 0 : clock_now_ms() + (uint64_t)timeout_ms + 1;
	return 0;
}

/* CURLOPT_OPENSOCKETFUNCTION */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct curl_glue *glue = ctx;
	struct curl_glue_socket *s;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	s = socket_new(glue, fd);
	if (!s) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	s->ours = true;
	return fd;
}

/* CURLOPT_CLOSESOCKETFUNCTION; libcurl calls it also long after the easy handle is gone. */
static int close_socket(void *ctx, curl_socket_t fd)
{
	struct curl_glue_socket *s = socket_find(ctx, fd);

	if (s)
		socket_free(s);
	return close(fd);
}

static void init_once(void)
{
	curl_memory_init();
}

int curl_glue_init(struct curl_glue *glue, struct loop *loop, curl_glue_fn done, void *ctx)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_once);
	*glue = (struct curl_glue)CURL_GLUE_NULL;
	glue->loop = loop;
	glue->done = done;
	glue->ctx = ctx;
	glue->multi = curl_multi_init();
	if (!glue->multi)
		return -ENOMEM;
	curl_multi_setopt(glue->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(glue->multi, CURLMOPT_SOCKETDATA, glue);
	curl_multi_setopt(glue->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(glue->multi, CURLMOPT_TIMERDATA, glue);
	return 0;
}

void curl_glue_deinit(struct curl_glue *glue)
{
	if (glue->multi)
		curl_multi_cleanup(glue->multi);
	while (glue->sockets)
		socket_free(glue->sockets);
	*glue = (struct curl_glue)CURL_GLUE_NULL;
}

CURL *curl_glue_easy(struct curl_glue *glue, const char *url, char error[CURL_ERROR_SIZE])
{
	CURL *easy = curl_easy_init();

	if (!easy)
		return NULL;
	error[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, glue);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, glue);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT,
			 0L); /* a name may move; connections are kept */
	/* Else libcurl would take http_proxy and its like from its environment. */
	if (curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
	    curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK)
		return easy;
	curl_easy_cleanup(easy);
	return NULL;
}

int curl_glue_start(struct curl_glue *glue, CURL *easy)
{
	switch (curl_multi_add_handle(glue->multi, easy)) {
	case CURLM_OK:
		return 0;
	case CURLM_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

void curl_glue_stop(struct curl_glue *glue, CURL *easy)
{
	curl_multi_remove_handle(glue->multi, easy);
}

void curl_glue_hand_over(struct curl_glue *glue, int fd)
{
	struct curl_glue_socket *s = socket_find(glue, fd);

	assert(s && s->ours);
	socket_unwatch(s);
	s->handed_over = true;
}

void curl_glue_tick(struct curl_glue *glue, uint64_t now_ms)
{
	long left_ms = -1;
	int n_running;

	if (glue->due_ms > now_ms)
		return;
	glue->due_ms = CLOCK_NEVER;
	curl_multi_socket_action(glue->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
	if (glue->due_ms == CLOCK_NEVER && curl_multi_timeout(glue->multi, &left_ms) == CURLM_OK &&
	    left_ms >= 0)
		want_timer(glue->multi, left_ms > 0 ? left_ms : 1, glue);
	hand_out(glue);
}
