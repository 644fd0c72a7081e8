// What the C programs of the tests have in common: a call that fails ends the program with what it says.

#ifndef CHECK_H
#define CHECK_H

#include "tidegate.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(condition)                                                                     \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
      exit(1);                                                                               \
    }                                                                                        \
  } while (0)

// MUST(tidegate_…(…, &error)), with the error of this very name.
#define MUST(call)                                                                           \
  do {                                                                                       \
    struct tidegate_error *error = NULL;                                                     \
    if ((call) != TIDEGATE_CODE_OK) {                                                        \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, tidegate_error_message(error).data); \
      exit(1);                                                                               \
    }                                                                                        \
    CHECK(error == NULL);                                                                    \
  } while (0)

// The call fails with this code, and says something of it.
#define FAILS(expected, call)                                                                \
  do {                                                                                       \
    struct tidegate_error *error = NULL;                                                     \
    CHECK((call) == (expected));                                                             \
    CHECK(tidegate_error_code(error) == (expected));                                         \
    CHECK(tidegate_error_message(error).length > 0);                                         \
    tidegate_error_free(error);                                                              \
  } while (0)

static inline bool text_is(struct tidegate_text text, const char *expected) {
  return text.length == strlen(expected) && memcmp(text.data, expected, text.length) == 0;
}

static inline struct tidegate_bytes bytes_of(const char *string) {
  struct tidegate_bytes bytes;
  bytes.data = (const uint8_t *)string;
  bytes.length = strlen(string);
  return bytes;
}

static inline uint16_t checksum(const uint8_t *bytes, size_t length) {
  uint32_t sum = 0;
  for (size_t at = 0; at + 1 < length; at += 2) sum += (uint32_t)(bytes[at] << 8 | bytes[at + 1]);
  if (length % 2 == 1) sum += (uint32_t)(bytes[length - 1] << 8);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

enum { ECHO_LENGTH = 84, ECHO_REPLY = 0, ECHO_REQUEST = 8 };

// An ICMP echo message with 56 bytes of `filling`, as ping sends it.
static inline void echo_packet(uint8_t *packet, const uint8_t *from, const uint8_t *to, uint8_t type,
                               uint8_t filling) {
  memset(packet, 0, ECHO_LENGTH);
  packet[0] = 0x45;
  packet[3] = ECHO_LENGTH;
  packet[8] = 64;
  packet[9] = 1;
  memcpy(packet + 12, from, 4);
  memcpy(packet + 16, to, 4);
  uint16_t sum = checksum(packet, 20);
  packet[10] = (uint8_t)(sum >> 8);
  packet[11] = (uint8_t)sum;
  packet[20] = type;
  packet[25] = 7;
  packet[27] = filling;
  memset(packet + 28, filling, ECHO_LENGTH - 28);
  sum = checksum(packet + 20, ECHO_LENGTH - 20);
  packet[22] = (uint8_t)(sum >> 8);
  packet[23] = (uint8_t)sum;
}

#endif
