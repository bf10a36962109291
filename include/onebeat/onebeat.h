/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_ONEBEAT_H
#define ONEBEAT_ONEBEAT_H

/*
 * onebeat: keep this process's service instances registered with a Nacos registry
 *
 * The library writes instance descriptors into shared memory; the host's agent, onebeatd, sends every
 * registration and heartbeat on its behalf. The library starts no thread, takes no signal, writes no
 * log, never aborts, and allocates nothing after onebeat_open(). It needs libc alone.
 *
 * Rules that hold for every call, unless the call says otherwise:
 *  - Result: 0, or a negative ONEBEAT_E_... code; onebeat_strerror() gives a sentence for each.
 *  - Threads: calls on one handle may come from any thread; they exclude each other for short moments.
 *    onebeat_close() must be the last call on its handle.
 *  - Signals: only onebeat_tick() may be called from a signal handler.
 *  - Threads of a process: none is special. The process lives until its last thread has ended, also when
 *    main() has left by pthread_exit(). A stopped process (SIGSTOP) lives; see progress_timeout_ms.
 *  - fork(): a handle belongs to the process that opened it. In a forked child onebeat_tick() and
 *    onebeat_status() go on working; every other call returns ONEBEAT_E_FORKED. That holds for fork(),
 *    _Fork() and clone(), whatever other threads of the parent are doing in here at that moment. The child
 *    keeps the parent's instances alive by existing (see enum onebeat_policy) and may onebeat_open() a
 *    handle of its own at any time. A child of vfork() must call nothing here; the parent goes on as before.
 *  - exec(): the tie to the agent is closed, unless ONEBEAT_OPEN_ACROSS_EXEC was asked for. A process that
 *    goes on with the same program keeps its instances, and takes them over by registering them again; one
 *    that became another program loses them after a grace (10 s as a rule), or keeps them for life where
 *    the agent may not read which program it runs. What fork() and exec() start in between holds nothing.
 *  - Closed descriptors: a program may close all that it finds, the library's too, and use the number again;
 *    the library sees it and leaves that number alone. The process stays registered until it dies, and the
 *    next call ties it to the agent again. Only where the agent has no means to find the process (another
 *    pid namespace on a kernel before 6.5) is the end of the tie taken for its end.
 *  - Ownership: strings and arrays passed in are copied before the call returns.
 *  - The agent's absence is never an error of a call: what it was told is kept and handed over by the
 *    next call after the agent is back. A program that never calls again stays absent until then, so
 *    order services after onebeatd.socket, or put onebeat_fd() into the event loop.
 *  - Register after daemonising and after dropping privileges: the agent takes the identity of the
 *    process (pid, uid, gid) when it connects. A daemon that closes the tie which it inherited from the
 *    process that registered, and that is gone, ends the instance with it.
 *  - Containers: the agent's socket is all that must be passed in. A process in another network namespace
 *    than the agent's has to give its ip; one in another pid namespace is served alike.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ONEBEAT_VERSION_MAJOR 0
#define ONEBEAT_VERSION_MINOR 1
#define ONEBEAT_VERSION_PATCH 0

/* Limits, in bytes without the closing NUL unless said otherwise. Together they make sure that the
 * largest legal descriptor fits a large slot. */
#define ONEBEAT_SERVICE_MAX 255
#define ONEBEAT_GROUP_MAX 128
#define ONEBEAT_CLUSTER_MAX 64
#define ONEBEAT_NAMESPACE_MAX 64
#define ONEBEAT_REGISTRY_MAX 32 /* one name of it */
#define ONEBEAT_REGISTRIES_MAX 8
#define ONEBEAT_IP_MAX 45
#define ONEBEAT_METADATA_PAIRS_MAX 64
/* Nacos 2.3 and later count all keys plus values in UTF-16 units (nacos-http: parameter check). */
#define ONEBEAT_METADATA_CHARS_MAX 1024
#define ONEBEAT_INSTANCES_MAX 4096
#define ONEBEAT_TEXT_MAX 128

/* Every error: name, value, sentence. */
#define ONEBEAT_ERRORS(X)                                                                                          \
	X(ONEBEAT_E_NULL, -1, "a required pointer is NULL")                                                        \
	X(ONEBEAT_E_SIZE, -2,                                                                                      \
	  "a struct's size field is not the size of any version of that struct")                                   \
	X(ONEBEAT_E_FLAGS, -3, "flags has a bit that this version does not know")                                  \
	X(ONEBEAT_E_SERVICE_EMPTY, -4, "service is empty: an instance needs a service name")                       \
	X(ONEBEAT_E_SERVICE_LONG, -5, "service is longer than 255 bytes")                                          \
	X(ONEBEAT_E_SERVICE_CHARS, -6,                                                                             \
	  "service has a character outside A-Z a-z 0-9 . _ : - (give the group in its own field)")                 \
	X(ONEBEAT_E_GROUP_LONG, -7, "group is longer than 128 bytes")                                              \
	X(ONEBEAT_E_GROUP_CHARS, -8, "group has a character outside A-Z a-z 0-9 . _ : -")                          \
	X(ONEBEAT_E_CLUSTER_LONG, -9, "cluster is longer than 64 bytes")                                           \
	X(ONEBEAT_E_CLUSTER_CHARS, -10, "cluster has a character outside A-Z a-z 0-9 -")                           \
	X(ONEBEAT_E_NAMESPACE_LONG, -11, "namespace is longer than 64 bytes")                                      \
	X(ONEBEAT_E_NAMESPACE_CHARS, -12, "namespace has a character outside A-Z a-z 0-9 _ -")                     \
	X(ONEBEAT_E_REGISTRY_LONG, -13, "registry is longer than 32 bytes")                                        \
	X(ONEBEAT_E_REGISTRY_CHARS, -14, "registry has a character outside A-Z a-z 0-9 . _ -")                     \
	X(ONEBEAT_E_IP, -15, "ip is not a numeric IPv4 or IPv6 address")                                           \
	X(ONEBEAT_E_PORT, -16, "port is not in 1..65535")                                                          \
	X(ONEBEAT_E_WEIGHT, -17, "weight is not a number in 0..10000")                                             \
	X(ONEBEAT_E_POLICY, -18, "policy is neither ONEBEAT_ANY_HOLDER nor ONEBEAT_OWNER")                         \
	X(ONEBEAT_E_BEAT, -19, "beat_ms is not 0 (the default, 5000) or in 1000..120000")                          \
	X(ONEBEAT_E_PROGRESS, -20, "progress_timeout_ms is not 0 (off) or in 1000..86400000")                      \
	X(ONEBEAT_E_METADATA_MANY, -21, "metadata has more than 64 pairs")                                         \
	X(ONEBEAT_E_METADATA_EMPTY, -22, "a metadata key is empty or NULL, or a value is NULL")                    \
	X(ONEBEAT_E_METADATA_LONG, -23,                                                                            \
	  "metadata keys and values are longer than 1024 characters in all")                                       \
	X(ONEBEAT_E_METADATA_CHARS, -24, "metadata has a control character or is not UTF-8")                       \
	X(ONEBEAT_E_METADATA_TWICE, -25, "metadata has the same key twice")                                        \
	X(ONEBEAT_E_METADATA_RESERVED, -26,                                                                        \
	  "metadata has a key that breaks Nacos 2.x servers: publishInstanceWeight, publishInstanceEnable or "     \
	  "customInstanceId")                                                                                      \
	X(ONEBEAT_E_METADATA_TIMES, -27,                                                                           \
	  "metadata preserved.heart.beat.interval, preserved.heart.beat.timeout and preserved.ip.delete.timeout "  \
	  "must be milliseconds in digits, 1..2147483647")                                                         \
	X(ONEBEAT_E_METADATA_ORDER, -28,                                                                           \
	  "the beat interval must be below preserved.heart.beat.timeout (15000) and preserved.ip.delete.timeout "  \
	  "(30000)")                                                                                               \
	X(ONEBEAT_E_ENABLED, -29, "enabled and ephemeral must be 0 or 1")                                          \
	X(ONEBEAT_E_STATUS, -30, "status is neither ONEBEAT_STATE_UP nor ONEBEAT_STATE_DOWN")                      \
	X(ONEBEAT_E_WAIT_STATE, -31,                                                                               \
	  "state to wait for is not one of ONEBEAT_STATE_UP, ONEBEAT_STATE_REFUSED, ONEBEAT_STATE_GONE")           \
	X(ONEBEAT_E_RUNTIME_DIR, -32, "runtime_dir is not an absolute path of at most 90 bytes")                   \
	X(ONEBEAT_E_INSTANCES, -33, "max_instances is not in 1..4096")                                             \
	X(ONEBEAT_E_OPEN_TIMEOUT, -34, "timeout_ms is over 60000")                                                 \
	X(ONEBEAT_E_IDENTITY, -35,                                                                                 \
	  "an update may not change service, group, cluster, namespace, registry, ip, port, ephemeral or policy: " \
	  "deregister and register instead")                                                                       \
	X(ONEBEAT_E_FULL, -36, "the handle holds max_instances instances already")                                 \
	X(ONEBEAT_E_HANDLE, -37,                                                                                   \
	  "this is not a live handle: it was closed, deregistered or never opened")                                \
	X(ONEBEAT_E_FORKED, -38,                                                                                   \
	  "the handle belongs to the parent process: call onebeat_open in the child for one of its own")           \
	X(ONEBEAT_E_NO_AGENT, -39, "no agent answers on client.sock in the runtime folder")                        \
	X(ONEBEAT_E_AGENT_VERSION, -40,                                                                            \
	  "the agent speaks another version of the shared-memory protocol")                                        \
	X(ONEBEAT_E_REFUSED, -41,                                                                                  \
	  "refused by the agent or the registry: onebeat_status tells why")                                        \
	X(ONEBEAT_E_TIMEOUT, -42, "the time given was over before the state was reached")                          \
	X(ONEBEAT_E_DETACHED, -43,                                                                                 \
	  "no agent is attached at present: what was told is kept for it")                                         \
	X(ONEBEAT_E_SYSTEM, -44, "a system call failed: errno tells which way")                                    \
	X(ONEBEAT_E_LISTEN, -45,                                                                                   \
	  "the descriptor is not a listening TCP socket: bind and listen first")                                   \
	X(ONEBEAT_E_ENVIRONMENT, -46,                                                                              \
	  "an environment variable is wrong: ONEBEAT_ENABLED is true or false, ONEBEAT_MANAGEMENT_PORT is in "     \
	  "1..65535")                                                                                              \
	X(ONEBEAT_E_REGISTRIES, -47,                                                                               \
	  "registry is a list with an empty name in it, a name twice, or more than 8 names")

enum onebeat_error {
	ONEBEAT_OK = 0,
#define ONEBEAT_ERROR_VALUE(name, value, text) name = value,
	ONEBEAT_ERRORS(ONEBEAT_ERROR_VALUE)
#undef ONEBEAT_ERROR_VALUE
	ONEBEAT_ERROR_ANY = 1 /* keeps the enum open at the end; never returned */
};

/* Where an instance stands. */
enum onebeat_state {
	ONEBEAT_STATE_DETACHED = 0, /* no agent knows of it at present */
	ONEBEAT_STATE_PENDING = 1,  /* written; the agent has not judged it yet */
	ONEBEAT_STATE_WAITING = 2,  /* held back until its port listens (ONEBEAT_WHEN_LISTENING) */
	ONEBEAT_STATE_REGISTERING = 3, /* the registry has not confirmed the newest definition yet */
	ONEBEAT_STATE_UP = 4,          /* confirmed by the registry, enabled */
	ONEBEAT_STATE_DOWN = 5, /* confirmed by the registry with enabled=false, still beaten */
	ONEBEAT_STATE_REFUSED =
		6, /* refused by agent or registry; what was accepted before stays in force */
	ONEBEAT_STATE_LEAVING = 7, /* being deregistered */
	ONEBEAT_STATE_GONE = 8     /* deregistered */
};

/* Whose life is the instance's life. */
enum onebeat_policy {
	/*
	 * Alive while any process lives that inherited this process's tie to the agent by fork(). The agent may
	 * die and be replaced meanwhile. What only the ties tell is lost when onebeatd as a whole is killed, agent
	 * and keeper (a restart under systemd keeps them): the registering process is then looked for by pid and
	 * start time. If it is gone, the instance is deregistered though workers live, unless it is registered
	 * ONEBEAT_WHEN_LISTENING and its port still listens; it is back when a worker opens a handle of its own
	 * and registers it.
	 */
	ONEBEAT_ANY_HOLDER = 0,
	/* Alive while the registering process itself lives, whatever its children do. */
	ONEBEAT_OWNER = 1
};

struct onebeat;          /* one process's tie to the agent */
struct onebeat_instance; /* one registered instance; belongs to its handle */

enum {
	/* onebeat_open() fails with ONEBEAT_E_NO_AGENT instead of returning a detached handle. */
	ONEBEAT_OPEN_REQUIRE_AGENT = 1u << 0,
	/* The tie survives exec(): for wrappers that register and then become the program. */
	ONEBEAT_OPEN_ACROSS_EXEC = 1u << 1
};

struct onebeat_options {
	size_t size; /* sizeof(struct onebeat_options) */
	const char *
		runtime_dir; /* NULL: ONEBEAT_RUNTIME_DIR, /run/onebeat, or $XDG_RUNTIME_DIR/onebeat */
	uint32_t timeout_ms;    /* longest wait for the agent's answer in one call; default 1000 */
	uint32_t max_instances; /* default 16 */
	uint32_t flags;         /* ONEBEAT_OPEN_... */
};

struct onebeat_metadata {
	const char *key;
	const char *value;
};

enum {
	/* Hold the registration back until the port listens; disable the instance when it stops to. */
	ONEBEAT_WHEN_LISTENING = 1u << 0
};

/* What is registered. Start from onebeat_spec_init(); NULL and 0 take the default named here. */
struct onebeat_spec {
	size_t size;              /* sizeof(struct onebeat_spec) */
	const char *service;      /* required, without the group */
	const char *group;        /* DEFAULT_GROUP */
	const char *cluster;      /* DEFAULT */
	const char *namespace_id; /* the registry's, as configured in the agent */
	/*
	 * The agent's first registry. "a,b": in each of these, as one instance here; every call is for all of
	 * them, and onebeat_status() tells of the one that is worst off. Each takes a place of max_instances.
	 */
	const char *registry;
	const char *ip; /* the host's, as the agent chooses it */
	uint32_t port;  /* required, 1..65535 */
	uint32_t flags; /* ONEBEAT_WHEN_LISTENING */
	double weight;  /* 0..10000; onebeat_spec_init() sets 1 */
	int enabled;    /* onebeat_spec_init() sets 1; 0 is DOWN from the start */
	int ephemeral;  /* onebeat_spec_init() sets 1; 0: persistent, registered and never beaten */
	uint32_t policy;  /* enum onebeat_policy */
	uint32_t beat_ms; /* 5000; the registry's own wish is followed when it answers one */
	uint32_t progress_timeout_ms; /* 0: off; else withheld when onebeat_tick() stays away for longer */
	uint32_t n_metadata;
	const struct onebeat_metadata *metadata;
};

struct onebeat_report {
	size_t size;                 /* in: sizeof(struct onebeat_report) */
	int32_t state;               /* enum onebeat_state */
	int32_t code;                /* last HTTP status or Nacos code; 0: none yet */
	uint32_t confirmed;          /* 1: the registry has confirmed what was written last */
	uint32_t holders;            /* holders that the agent counts for this instance */
	uint32_t beat_age_ms;        /* since the last acknowledged beat; UINT32_MAX: none yet */
	uint32_t since_ms;           /* how long the state has lasted */
	char ip[ONEBEAT_IP_MAX + 3]; /* the address that is registered; empty: not known yet */
	char text[ONEBEAT_TEXT_MAX]; /* why, when refused or failing; else empty */
};

static inline struct onebeat_options onebeat_options_init(void)
{
	struct onebeat_options o = { sizeof(struct onebeat_options), NULL, 1000, 16, 0 };

	return o;
}

static inline struct onebeat_spec onebeat_spec_init(void)
{
	struct onebeat_spec s = {
		sizeof(struct onebeat_spec), NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 1.0, 1, 1,
		ONEBEAT_ANY_HOLDER,          0,    0,    0,    NULL
	};

	return s;
}

/*
 * Connects to the agent, maps the shared memory and takes a first grant. options may be NULL. With no
 * agent there the handle is detached and 0 is returned, unless ONEBEAT_OPEN_REQUIRE_AGENT is set. Waits
 * at most timeout_ms. The only call that allocates (by mmap, fixed for the life of the handle).
 * Errors: NULL, SIZE, FLAGS, RUNTIME_DIR, INSTANCES, OPEN_TIMEOUT, NO_AGENT, AGENT_VERSION, SYSTEM.
 * *out is NULL after an error.
 */
int onebeat_open(struct onebeat **out, const struct onebeat_options *options);

/*
 * Registers an instance: a memory write when a grant is at hand, else one exchange with the agent of at
 * most timeout_ms. 0 means that the wish is recorded, not that the registry has confirmed it: see
 * onebeat_wait(). The same instance (registry, namespace, group, service, ip, port) registered again
 * through one handle gives the same pointer with one more reference, and spec is taken as an update.
 * *out stays valid until onebeat_deregister() has been called as often, or onebeat_close().
 * Errors: HANDLE, FORKED, FULL, IDENTITY, REFUSED (the agent grants no slot) and those of a bad spec.
 */
int onebeat_register(struct onebeat *ob, const struct onebeat_spec *spec,
		     struct onebeat_instance **out);

/*
 * Replaces weight, metadata, enabled, beat and progress time-out of a registered instance. A memory
 * write. A refused update leaves the last good definition in force.
 * Errors: as onebeat_register(), and IDENTITY when spec names another instance.
 */
int onebeat_update(struct onebeat_instance *inst, const struct onebeat_spec *spec);

/*
 * ONEBEAT_STATE_DOWN: registered with enabled=false, out of every consumer's list, still beaten.
 * ONEBEAT_STATE_UP: back again. A memory write. Errors: HANDLE, FORKED, STATUS.
 */
int onebeat_set_status(struct onebeat_instance *inst, int status);

/*
 * Reads what the agent says of the instance. No system call but clock_gettime() (vDSO). Works in forked
 * children. report->size must be set. Errors: NULL, SIZE, HANDLE.
 */
int onebeat_status(const struct onebeat_instance *inst, struct onebeat_report *report);

/*
 * Sleeps until the registry has confirmed (ONEBEAT_STATE_UP; reached by DOWN too, when that is what was
 * asked), refused (ONEBEAT_STATE_REFUSED) or dropped (ONEBEAT_STATE_GONE) what was written last.
 * timeout_ms < 0: for ever. Other calls on the handle go on meanwhile.
 * Errors: HANDLE, FORKED, WAIT_STATE, TIMEOUT, REFUSED (waiting for UP and refused), DETACHED (no agent
 * came within the time).
 */
int onebeat_wait(struct onebeat_instance *inst, int state, int timeout_ms);

/*
 * "I make progress": one relaxed add to shared memory. Async-signal-safe, works in forked children,
 * takes no lock, never fails; NULL is ignored. Read by the agent when progress_timeout_ms is set.
 */
void onebeat_tick(const struct onebeat_instance *inst);

/*
 * For event loops: call when onebeat_fd() is readable, and now and then (say every second) when it
 * returned ONEBEAT_E_DETACHED: takes new grants, notices a lost agent, attaches again without waiting.
 * Errors: HANDLE, FORKED, DETACHED.
 */
int onebeat_attend(struct onebeat *ob);

/*
 * The descriptor to poll for reading, or a negative error (HANDLE, FORKED, DETACHED). It stays the
 * library's: do not read, write or close it. It may change after onebeat_attend().
 */
int onebeat_fd(struct onebeat *ob);

/*
 * Gives one reference back; the last one withdraws the instance. What other holders hold stays. inst is
 * not to be used afterwards. A memory write. Errors: HANDLE, FORKED.
 * What can be lost: when agent and keeper are both killed before either has read the withdrawal
 * (microseconds while the agent runs, longer while it is being restarted), the instance is taken for a
 * living one again and goes when its process ends.
 */
int onebeat_deregister(struct onebeat_instance *inst);

/*
 * Withdraws every instance of the handle, says goodbye and frees it. NULL is allowed. In a forked child
 * it only gives back the child's own memory. Errors: none; returns 0.
 */
int onebeat_close(struct onebeat *ob);

/*
 * What onebeat_register() would say of this spec by itself: every rule that the library knows, nothing sent,
 * nothing kept. Any thread, forked children too. Errors: those of a bad spec.
 */
int onebeat_check(const struct onebeat_spec *spec);

/*
 * Auto-registration, for a program that owns its listening socket: tell it the socket once it listens, and
 * the instance follows the server's life. The calls of this part may be made from any thread, but not from
 * a signal handler; in a forked child they return ONEBEAT_E_FORKED (the parent's registration goes on for
 * both) but for onebeat_auto_close(), which gives back the child's own memory.
 */
struct onebeat_auto;

struct onebeat_auto_options {
	size_t size;                        /* sizeof(struct onebeat_auto_options) */
	const struct onebeat_options *open; /* of the handle; NULL: onebeat_options_init() */
	/*
	 * The instance. service may be NULL: ONEBEAT_SERVICE in the environment. port may be 0: that of the
	 * first socket that listens. ip left out: the socket's own address when it is bound to one that is
	 * not loopback, else the agent's choice.
	 */
	const struct onebeat_spec *spec;
	int enabled; /* onebeat_auto_options_init() sets 1; ONEBEAT_ENABLED decides when it is set */
	uint32_t wait_ms; /* how long starting waits for the registry's word; 0: not at all */
	/*
	 * Where the program is managed, when that is another port than the instance's: registered beside it,
	 * same place and metadata, and named in its metadata as management.port. 0: ONEBEAT_MANAGEMENT_PORT,
	 * else none.
	 */
	uint32_t management_port;
	const char *management_service; /* NULL: the service's name and "-management" */
	/*
	 * Called once a start, when the registry has confirmed all that was registered: by the thread that
	 * starts (wait_ms) or attends. It may make any call but onebeat_auto_close(). NULL: nobody.
	 */
	void (*registered)(void *ctx, struct onebeat_auto *a);
	void *ctx;
};

static inline struct onebeat_auto_options onebeat_auto_options_init(void)
{
	struct onebeat_auto_options o = {
		sizeof(struct onebeat_auto_options), NULL, NULL, 1, 0, 0, NULL, NULL, NULL
	};

	return o;
}

/*
 * Copies the options; connects to nobody yet. *out belongs to the caller until onebeat_auto_close(); NULL after
 * an error. Errors: NULL, SIZE, FLAGS, ENABLED, ENVIRONMENT, SYSTEM, those of a bad spec (port 0 apart), and
 * PORT, SERVICE_LONG, SERVICE_CHARS for what is said of management.
 */
int onebeat_auto_new(struct onebeat_auto **out, const struct onebeat_auto_options *options);

/*
 * A socket listens: where no port is known yet it takes the socket's, then it starts. Later sockets change
 * nothing. The descriptor stays the caller's and is not kept.
 * Errors: HANDLE, FORKED, LISTEN and those of onebeat_auto_start().
 */
int onebeat_auto_bind(struct onebeat_auto *a, int listen_fd);

/*
 * Opens a handle and registers; 0 and nothing done when it runs already, or is not enabled. After TIMEOUT,
 * DETACHED and REFUSED (wait_ms alone gives them) it runs, and agent and library go on trying; after any
 * other error it does not run, and may be started again. Errors: HANDLE, FORKED, PORT (none is known),
 * and those of onebeat_open(), onebeat_register() and onebeat_wait().
 */
int onebeat_auto_start(struct onebeat_auto *a);

/* Withdraws what it registered and closes its handle; 0 and nothing done when it does not run. Errors: HANDLE, FORKED. */
int onebeat_auto_stop(struct onebeat_auto *a);

/*
 * onebeat_attend() for its handle, and the word to registered() when that is due; call it as that one. 0 when
 * it does not run. Errors: HANDLE, FORKED, DETACHED.
 */
int onebeat_auto_attend(struct onebeat_auto *a);

/*
 * What runs, for onebeat_status(), _set_status(), _tick(), _wait() and onebeat_fd(): NULL when it does not run,
 * in a forked child, or when there is no second instance for management. Valid until it stops; not to be
 * deregistered or closed by the caller.
 */
struct onebeat *onebeat_auto_handle(struct onebeat_auto *a);
struct onebeat_instance *onebeat_auto_instance(struct onebeat_auto *a);
struct onebeat_instance *onebeat_auto_management(struct onebeat_auto *a);

/* Stops and frees it. NULL is allowed. No other thread may be in one of its calls. Returns 0. */
int onebeat_auto_close(struct onebeat_auto *a);

/* A sentence for a code; never NULL; static. Async-signal-safe. */
const char *onebeat_strerror(int error);

/* "MAJOR.MINOR.PATCH" of the library that runs; static. */
const char *onebeat_version(void);

#ifdef __cplusplus
}
#endif

#endif
