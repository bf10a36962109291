/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_NOTIFY_H
#define KEEPER_NOTIFY_H

/*
 * Tells the service manager that started us ("READY=1"), as sd_notify(3) does. 0 (also without
 * one), or a negative errno.
 */
int notify_manager(const char *state);

#endif
