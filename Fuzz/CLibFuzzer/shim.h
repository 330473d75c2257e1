#pragma once
#include <stddef.h>
#include <stdint.h>

/* libFuzzer as a library, from the compiler's runtime (-sanitize=fuzzer): runs `one` on inputs until told to stop. */
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*one)(const uint8_t *data, size_t size));
