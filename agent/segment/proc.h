/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_PROC_H
#define SEGMENT_PROC_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
	pid_t ppid; /* 0: none that is visible from here */
	uint64_t start_ticks;
	bool dead; /* a zombie, and no other thread of it lives */
};

/*
 * Opens /proc/PID (O_PATH): the descriptor, or a negative errno (-ENOENT: no such process, or not
 * for us to see; -EXDEV: /proc has another pid namespace's numbers).
 */
int proc_open(pid_t pid);
/* Reads a small file of that process as text. Its length, or a negative errno. */
int proc_read(int dir, const char *name, char *buf, size_t size);
/* 0 or a negative errno. */
int proc_read_stat(int dir, struct proc_stat *out);
/* Parses the text of /proc/PID/stat. 0, or -EBADMSG. */
int proc_parse_stat(const char *text, struct proc_stat *out);

#endif
