/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_CONTROL_H
#define ONEBEAT_CONTROL_H

/*
 * Requests and replies on control.sock (private, not installed; used by onebeatctl and the agent)
 *
 * A SOCK_STREAM connection carries one request: this struct. The agent answers with lines of JSON, one
 * object a line, ended by {"end":true,"error":null} or {"end":true,"error":"sentence"}, and closes.
 * EVENTS goes on until the client closes. Reading is for the socket's owner and group; LEAVE, STOP,
 * UPGRADE and RELOAD are for root and the owner (the agent asks the kernel who is at the other end).
 *
 *   LIST    an instance a line:
 *           {"key":"registry/namespace/group@@service/ip:port","registry","namespace","group","service",
 *            "cluster","ip","port","state":"UP","since_ms":N,"beat_age_ms":N|null,"code":N,"text":"",
 *            "enabled":bool,"ephemeral":bool,"weight":N,"metadata":{},
 *            "holders":[{"pid":N,"program":"name","uid":N,"policy":"any|owner","state":"attached|watched"}]}
 *           and one line for each slot whose newest descriptor is refused, and for each thing that a user
 *           was refused by a quota or the allow-list of late (the last one, and how many there were):
 *           {"refused":{"pid":N,"program":"name","uid":N,"service":"name","text":"sentence","times":N}}
 *   STATUS  one line: {"version","pid","keeper_pid","uptime_ms","dom2BeatSize":N,"leases":N,"slots":N,
 *            "refused":N,"turned_away":N,"looks":N,
 *            "states":{"UP":N,...},"beats":{"sent","acknowledged","failed"},"requests":{"register","deregister","failed"},
 *            "registries":[{"name","nodes":[{"address","state","connections","last_error"}]}],"adopted":N,"restarts":N}
 *   PING    {"pong":true,"pid":N}
 *   EVENTS  {"time":"RFC 3339","event":"up|down|refused|gone|...","key":"...","text":"..."} as they happen, newest
 *           kept ones first
 *   LEAVE   deregisters everything, answers {"deregistered":N,"failed":N}, then stops agent and keeper
 *   STOP    stops agent and keeper; registrations stay for the next start
 *   UPGRADE runs keeper and agent from the installed program; answered by the keeper when the new agent works:
 *           {"upgraded":true,"from":{"version","keeper_pid":N,"pid":N},"to":{"version","keeper_pid":N,"pid":N}};
 *           an error tells why the running version goes on
 *   RELOAD  reads the configuration anew, all or nothing; answered by the keeper when an agent works with it:
 *           {"reloaded":true,"from_pid":N,"pid":N}; an error tells what is wrong, and nothing has changed
 */

#include <stdint.h>

#define ONEBEAT_CONTROL_MAGIC UINT32_C(0x4f424354)
#define ONEBEAT_CONTROL_VERSION 1

enum onebeat_control_verb {
	ONEBEAT_CONTROL_LIST = 1,
	ONEBEAT_CONTROL_STATUS = 2,
	ONEBEAT_CONTROL_PING = 3,
	ONEBEAT_CONTROL_EVENTS = 4,
	ONEBEAT_CONTROL_LEAVE = 5,
	ONEBEAT_CONTROL_STOP = 6,
	ONEBEAT_CONTROL_UPGRADE = 7,
	ONEBEAT_CONTROL_RELOAD = 8
};

struct onebeat_control_request {
	uint32_t magic;
	uint16_t version;
	uint16_t verb;
	uint32_t flags; /* 0 */
};

_Static_assert(sizeof(struct onebeat_control_request) == 12, "request is 12 bytes");

#endif
