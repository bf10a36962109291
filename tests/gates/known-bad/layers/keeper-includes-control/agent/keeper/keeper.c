/* SPDX-License-Identifier: Apache-2.0 */
/* expect: agent/keeper/keeper\.c:3: .*agent/keeper -> agent/control */
#include "control/agent.h"
