// Against strongSwan: sets a tunnel up, pings an address behind the peer through it, replaces the keys, pings again,
// and takes it down. Packets go by calls, events to a function.
//
//   strongswan OURS THEIRS       outer addresses; 10.1/16 is behind us, 10.2.0.1 answers behind the peer

#include "check.h"

#include <poll.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned established, rekeyed, closed;

static void on_event(void *context, const struct tidegate_event *event) {
  CHECK(context == &lock);
  struct tidegate_event_info info;
  TIDEGATE_INIT(&info);
  MUST(tidegate_event_read(event, &info, &error));
  printf("%.*s: %.*s\n", (int)info.name.length, info.name.data, (int)info.message.length, info.message.data);
  pthread_mutex_lock(&lock);
  if (info.kind == TIDEGATE_EVENT_KIND_CHILD_ESTABLISHED) established++;
  if (info.kind == TIDEGATE_EVENT_KIND_CHILD_REKEYED) rekeyed++;
  if (info.kind == TIDEGATE_EVENT_KIND_CHILD_CLOSED) closed++;
  pthread_mutex_unlock(&lock);
}

// Sends an echo request until it is answered, as the first one may come before a route.
static void ping(struct tidegate_manager *manager, uint8_t filling) {
  const uint8_t ours[4] = {10, 1, 0, 1}, theirs[4] = {10, 2, 0, 1};
  uint8_t request[ECHO_LENGTH], reply[2048];
  echo_packet(request, ours, theirs, ECHO_REQUEST, filling);
  struct tidegate_bytes bytes = {request, sizeof request};
  struct pollfd fd = {-1, POLLIN, 0};
  MUST(tidegate_manager_packet_fd(manager, &fd.fd, &error));
  for (int attempt = 0; attempt < 20; attempt++) {
    MUST(tidegate_manager_send_packet(manager, bytes, &error));
    while (poll(&fd, 1, 500) > 0) {
      size_t length = sizeof reply;
      MUST(tidegate_manager_next_packet(manager, reply, &length, &error));
      if (length != sizeof request || reply[20] != ECHO_REPLY || reply[27] != filling) continue;
      CHECK(memcmp(reply + 12, theirs, 4) == 0 && memcmp(reply + 16, ours, 4) == 0);
      CHECK(memcmp(reply + 28, request + 28, sizeof request - 28) == 0);
      printf("answered after %d\n", attempt + 1);
      return;
    }
  }
  CHECK(!"the peer answers");
}

int main(int count, char **words) {
  CHECK(count == 3);
  setvbuf(stdout, NULL, _IOLBF, 0);
  struct tidegate_credentials *credentials = tidegate_credentials_new();
  MUST(tidegate_credentials_add(credentials, tidegate_text_of("secret"), bytes_of("known to both"), &error));
  struct tidegate_address listen;
  MUST(tidegate_address_parse(tidegate_text_of(words[1]), &listen, &error));
  struct tidegate_options options;
  TIDEGATE_INIT(&options);
  options.credentials = credentials;
  options.listen = &listen;
  options.listen_count = 1;
  options.device = TIDEGATE_DEVICE_CALLS;
  options.on_event = on_event;
  options.context = &lock;
  struct tidegate_manager *manager;
  MUST(tidegate_manager_new(&options, &manager, &error));
  tidegate_credentials_free(credentials);

  char connection[512];
  snprintf(connection, sizeof connection,
           "[[connection]]\nname = \"peer\"\n"
           "[connection.local]\nid = \"us.example\"\npsk_file = \"secret\"\n"
           "[connection.remote]\nid = \"them.example\"\naddresses = [\"%s\"]\n"
           "[[connection.child]]\nname = \"net\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n",
           words[2]);
  MUST(tidegate_manager_load(manager, tidegate_text_of(connection), &error));

  struct tidegate_target target;
  TIDEGATE_INIT(&target);
  target.connection = tidegate_text_of("peer");
  MUST(tidegate_manager_run(manager, TIDEGATE_ACTION_INITIATE, &target, 20000, NULL, &error));
  int active = 0;
  MUST(tidegate_manager_is_active(manager, target.connection, &active, &error));
  CHECK(active == 1);
  ping(manager, 1);

  size_t done = 0;
  target.child = tidegate_text_of("net");
  MUST(tidegate_manager_run(manager, TIDEGATE_ACTION_REKEY, &target, 20000, &done, &error));
  CHECK(done == 1);
  ping(manager, 2);

  struct tidegate_counters counters;
  TIDEGATE_INIT(&counters);
  MUST(tidegate_manager_counters(manager, &counters, &error));
  CHECK(counters.sent_packets >= 2 && counters.received_packets >= 2 && counters.ike_established == 1);

  target.child = tidegate_text_of("");
  MUST(tidegate_manager_run(manager, TIDEGATE_ACTION_TERMINATE, &target, 20000, &done, &error));
  CHECK(done == 1);
  MUST(tidegate_manager_is_active(manager, target.connection, &active, &error));
  CHECK(active == 0);
  FAILS(TIDEGATE_CODE_MISUSE, tidegate_manager_event_fd(manager, &active, &error));
  MUST(tidegate_manager_shutdown(manager, &error));
  FAILS(TIDEGATE_CODE_STOPPED, tidegate_manager_load(manager, tidegate_text_of(connection), &error));
  tidegate_manager_free(manager);
  CHECK(established >= 1 && rekeyed == 1 && closed >= 1);
  puts("done");
  return 0;
}
