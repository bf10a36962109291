/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sentences for codes
 *
 * Everything here is a constant: no lock, no locale, so it may be called anywhere, signal handlers included.
 */
#include <onebeat/onebeat.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *onebeat_strerror(int error)
{
	switch (error) {
	case ONEBEAT_OK:
		return "done";
#define SENTENCE(name, value, text) \
	case name:                  \
		return text;
		ONEBEAT_ERRORS(SENTENCE)
#undef SENTENCE
	default:
		return "not a code of onebeat";
	}
}

const char *onebeat_version(void)
{
	return TEXT(ONEBEAT_VERSION_MAJOR) "." TEXT(ONEBEAT_VERSION_MINOR) "." TEXT(
		ONEBEAT_VERSION_PATCH);
}
