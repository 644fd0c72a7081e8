// A daemon with an event loop of its own, into which Tidegate's descriptors fit: poll(2) waits for commands on the
// standard input, for what tunnels have to tell, and for packets that have come out of them.
//
//   daemon CONFIG        CONFIG is the path of a tidegate.toml
//
// Commands, one a line:
//
//   up CONNECTION              begins to set it up; how it went comes as an event
//   down CONNECTION            takes it down
//   status                     shows all connections as JSON
//   send FROM TO TEXT          sends a UDP packet from one address to another, through whatever tunnel has them
//   quit                       ends all tunnels and leaves
//
// Packets come and go by calls here, as in a daemon that has a data path already: no interface, and no root.

#include "tidegate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Tells what has gone wrong, and gives the error back. Whether all is well.
static int is_well(tidegate_code code, struct tidegate_error *error) {
  if (code == TIDEGATE_CODE_OK) return 1;
  printf("error %d: %s\n", (int)code, tidegate_error_message(error).data);
  tidegate_error_free(error);
  return 0;
}

// The whole of a file, with a zero behind it; NULL if it cannot be read.
static char *content_of(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  char *content = calloc(1, 65536);
  if (content != NULL && fread(content, 1, 65535, file) == 0) {
    free(content);
    content = NULL;
  }
  fclose(file);
  return content;
}

static struct tidegate_manager *start(const char *path) {
  char *config = content_of(path);
  if (config == NULL) {
    perror(path);
    return NULL;
  }
  struct tidegate_options options;
  TIDEGATE_INIT(&options);
  options.config = tidegate_text_of(config);
  options.device = TIDEGATE_DEVICE_CALLS;
  options.packet_threads = 1;
  struct tidegate_manager *manager = NULL;
  struct tidegate_error *error = NULL;
  is_well(tidegate_manager_new(&options, &manager, &error), error);
  free(config);
  return manager;
}

static void begin(struct tidegate_manager *manager, uint32_t action, const char *connection) {
  struct tidegate_target target;
  TIDEGATE_INIT(&target);
  target.connection = tidegate_text_of(connection);
  struct tidegate_error *error = NULL;
  uint64_t number = 0;
  if (is_well(tidegate_manager_begin(manager, action, &target, &number, &error), error)) {
    printf("request %llu begun\n", (unsigned long long)number);
  }
}

static void show_status(struct tidegate_manager *manager) {
  struct tidegate_error *error = NULL;
  struct tidegate_status *status = NULL;
  struct tidegate_buffer json = {NULL, 0};
  if (is_well(tidegate_manager_status(manager, &status, &error), error) &&
      is_well(tidegate_status_json(status, &json, &error), error)) {
    printf("status %s\n", json.data);
  }
  tidegate_buffer_free(&json);
  tidegate_status_free(status);
}

static uint16_t checksum(const uint8_t *header) {
  uint32_t sum = 0;
  for (int at = 0; at < 20; at += 2) sum += (uint32_t)(header[at] << 8 | header[at + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

// IPv4 and UDP around a text.
static void send_text(struct tidegate_manager *manager, const char *from, const char *to, const char *text) {
  uint8_t packet[1024] = {0x45};
  size_t length = strlen(text);
  if (length > sizeof packet - 28 || inet_pton(AF_INET, from, packet + 12) != 1 ||
      inet_pton(AF_INET, to, packet + 16) != 1) {
    puts("error: no such packet");
    return;
  }
  size_t whole = length + 28;
  packet[2] = (uint8_t)(whole >> 8);
  packet[3] = (uint8_t)whole;
  packet[8] = 64;
  packet[9] = 17;
  uint16_t sum = checksum(packet);
  packet[10] = (uint8_t)(sum >> 8);
  packet[11] = (uint8_t)sum;
  packet[21] = packet[23] = 7;
  packet[24] = (uint8_t)((length + 8) >> 8);
  packet[25] = (uint8_t)(length + 8);
  memcpy(packet + 28, text, length);
  struct tidegate_bytes bytes = {packet, whole};
  struct tidegate_error *error = NULL;
  is_well(tidegate_manager_send_packet(manager, bytes, &error), error);
}

// Whether to go on.
static int obey(struct tidegate_manager *manager, char *line) {
  char first[64], second[64], text[512];
  if (sscanf(line, "up %63s", first) == 1) {
    begin(manager, TIDEGATE_ACTION_INITIATE, first);
  } else if (sscanf(line, "down %63s", first) == 1) {
    begin(manager, TIDEGATE_ACTION_TERMINATE, first);
  } else if (sscanf(line, "send %63s %63s %511[^\n]", first, second, text) == 3) {
    send_text(manager, first, second, text);
  } else if (strncmp(line, "status", 6) == 0) {
    show_status(manager);
  } else if (strncmp(line, "quit", 4) == 0) {
    return 0;
  } else {
    puts("error: no such command");
  }
  return 1;
}

// Commands come as they are typed, or as a pipe has them. Whether to go on.
static int take_commands(struct tidegate_manager *manager) {
  static char buffer[4096];
  static size_t filled;
  ssize_t count = read(STDIN_FILENO, buffer + filled, sizeof buffer - 1 - filled);
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  if (count == 0) return 0;
  filled += (size_t)count;
  buffer[filled] = 0;
  int goes_on = 1;
  char *line = buffer, *end;
  while (goes_on && (end = strchr(line, '\n')) != NULL) {
    *end = 0;
    goes_on = obey(manager, line);
    line = end + 1;
  }
  filled -= (size_t)(line - buffer);
  memmove(buffer, line, filled);
  if (filled == sizeof buffer - 1) filled = 0;
  return goes_on;
}

// Whether more may come.
static int take_events(struct tidegate_manager *manager) {
  struct tidegate_error *error = NULL;
  struct tidegate_event *event = NULL;
  int goes_on = 1;
  while (is_well(tidegate_manager_next_event(manager, &event, &error), error) && event != NULL) {
    struct tidegate_event_info info;
    TIDEGATE_INIT(&info);
    if (is_well(tidegate_event_read(event, &info, &error), error)) {
      printf("event %.*s %.*s: %.*s\n", (int)info.name.length, info.name.data, (int)info.connection.length,
             info.connection.data, (int)info.message.length, info.message.data);
      if (info.kind == TIDEGATE_EVENT_KIND_STOPPED) goes_on = 0;
    }
    tidegate_event_free(event);
  }
  return goes_on;
}

static void take_packets(struct tidegate_manager *manager) {
  static uint8_t packet[65536];
  for (;;) {
    struct tidegate_error *error = NULL;
    size_t length = sizeof packet;
    if (!is_well(tidegate_manager_next_packet(manager, packet, &length, &error), error) || length == 0) return;
    if (length > 28 && packet[9] == 17) printf("packet %.*s\n", (int)(length - 28), (char *)packet + 28);
  }
}

int main(int count, char **words) {
  if (count != 2) {
    fprintf(stderr, "usage: daemon CONFIG\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  struct tidegate_manager *manager = start(words[1]);
  if (manager == NULL) return 1;
  struct tidegate_error *error = NULL;
  struct pollfd fds[3] = {{STDIN_FILENO, POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};
  int goes_on = is_well(tidegate_manager_event_fd(manager, &fds[1].fd, &error), error) &&
                is_well(tidegate_manager_packet_fd(manager, &fds[2].fd, &error), error);
  if (goes_on) puts("ready");
  while (goes_on) {
    if (poll(fds, 3, -1) < 0 && errno != EINTR) break;
    if (fds[1].revents != 0 && !take_events(manager)) break;
    if (fds[2].revents != 0) take_packets(manager);
    if (fds[0].revents != 0) goes_on = take_commands(manager);
  }
  if (is_well(tidegate_manager_shutdown(manager, &error), error)) {
    // The last of its events says that there are no more.
    while (poll(&fds[1], 1, -1) >= 0 && take_events(manager)) continue;
  }
  tidegate_manager_free(manager);
  puts("left");
  return 0;
}
