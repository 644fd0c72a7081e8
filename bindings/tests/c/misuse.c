// What callers get wrong: each mistake is answered by a code and a message, and nothing else happens. And what they
// get right without a peer.

#include "check.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static void errors_that_are_none(void) {
  CHECK(tidegate_error_code(NULL) == TIDEGATE_CODE_OK);
  CHECK(tidegate_error_culprit(NULL) == TIDEGATE_CULPRIT_NONE);
  CHECK(tidegate_error_message(NULL).length == 0 && tidegate_error_message(NULL).data[0] == 0);
  tidegate_error_free(NULL);
  tidegate_buffer_free(NULL);
  tidegate_event_free(NULL);
  tidegate_status_free(NULL);
  tidegate_manager_free(NULL);
  tidegate_engine_free(NULL);
  tidegate_credentials_free(NULL);
  tidegate_job_free(NULL);
  tidegate_lookup_free(NULL);
}

static void nothing_where_something_should_be(void) {
  struct tidegate_manager *manager = NULL;
  struct tidegate_options options;
  TIDEGATE_INIT(&options);
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_manager_new(NULL, &manager, &error));
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_manager_new(&options, NULL, &error));
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_manager_shutdown(NULL, &error));
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_address_parse(tidegate_text_of("192.0.2.1"), NULL, &error));
  // Nobody has to want to know more than the code.
  CHECK(tidegate_manager_shutdown(NULL, NULL) == TIDEGATE_CODE_ARGUMENT);
  struct tidegate_text none = {NULL, 5};
  struct tidegate_address address;
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_address_parse(none, &address, &error));
}

static void texts_that_are_none(void) {
  struct tidegate_address address;
  struct tidegate_text text = {"\xff\xfe", 2};
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_address_parse(text, &address, &error));
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_address_parse(tidegate_text_of("example"), &address, &error));
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_address_parse(tidegate_text_of(""), &address, &error));
  address.family = 5;
  struct tidegate_buffer written;
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_address_format(address, &written, &error));
}

static void addresses(void) {
  static const char *const all[] = {"192.0.2.1", "192.0.2.1:500", "fd00::1", "[fd00::1]:4500"};
  for (size_t at = 0; at < sizeof all / sizeof *all; at++) {
    struct tidegate_address address;
    MUST(tidegate_address_parse(tidegate_text_of(all[at]), &address, &error));
    CHECK(address.family == (at < 2 ? 4 : 6));
    struct tidegate_buffer text;
    MUST(tidegate_address_format(address, &text, &error));
    CHECK(strcmp(text.data, all[at]) == 0 && text.length == strlen(all[at]));
    tidegate_buffer_free(&text);
    CHECK(text.data == NULL);
  }
}

// A program that was built with a later header, and one that forgot to say what it has.
static void sizes(void) {
  struct {
    struct tidegate_engine_options known;
    uint64_t later[4];
  } options;
  struct tidegate_engine *engine = NULL;
  memset(&options, 0, sizeof options);
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_engine_new(&options.known, &engine, &error));
  options.known.size = sizeof options.known - 1;
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_engine_new(&options.known, &engine, &error));
  options.known.size = (size_t)-1;
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_engine_new(&options.known, &engine, &error));
  options.known.size = sizeof options;
  options.later[3] = 1;
  FAILS(TIDEGATE_CODE_UNSUPPORTED, tidegate_engine_new(&options.known, &engine, &error));
  options.later[3] = 0;
  MUST(tidegate_engine_new(&options.known, &engine, &error));

  struct {
    struct tidegate_counters known;
    uint64_t later[2];
  } counters;
  memset(&counters, 0xff, sizeof counters);
  counters.known.size = sizeof counters;
  MUST(tidegate_engine_counters(engine, &counters.known, &error));
  CHECK(counters.known.size == sizeof counters && counters.known.sent_packets == 0);
  CHECK(counters.later[0] == 0 && counters.later[1] == 0);
  tidegate_engine_free(engine);
}

static void configurations(void) {
  struct tidegate_options options;
  struct tidegate_manager *manager = NULL;
  struct tidegate_error *error = NULL;
  TIDEGATE_INIT(&options);
  options.config = tidegate_text_of("[node]\nname = \"a\"\nprot = 500\n");
  CHECK(tidegate_manager_new(&options, &manager, &error) == TIDEGATE_CODE_CONFIG);
  CHECK(manager == NULL);
  CHECK(strstr(tidegate_error_message(error).data, "tidegate.toml:3:1") != NULL);
  CHECK(strstr(tidegate_error_message(error).data, "did you mean \"port\"?") != NULL);
  tidegate_error_free(error);
  options.config = tidegate_text_of("");
  options.device = 99;
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_manager_new(&options, &manager, &error));
  options.device = TIDEGATE_DEVICE_DESCRIPTOR;
  options.device_fd = -1;
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_manager_new(&options, &manager, &error));
  options.device_fd = 1000;
  FAILS(TIDEGATE_CODE_SYSTEM, tidegate_manager_new(&options, &manager, &error));
  options.device = TIDEGATE_DEVICE_NONE;
  options.lists = 9;
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_manager_new(&options, &manager, &error));
  // A place for what is not to be had.
  options.lists = TIDEGATE_LISTS_GIVEN;
  options.lists_folder = tidegate_text_of("crls");
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_manager_new(&options, &manager, &error));
}

// A descriptor of ours as the device: what is written into the other end is taken for a packet, and this one, which
// no connection protects, goes nowhere.
static void a_descriptor(void) {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  struct tidegate_options options;
  TIDEGATE_INIT(&options);
  options.config = tidegate_text_of("[node]\nname = \"a\"\nlisten = [\"127.0.91.5\"]\n");
  options.ike_port = options.nat_port = TIDEGATE_PORT_ANY;
  options.device = TIDEGATE_DEVICE_DESCRIPTOR;
  options.device_fd = ends[0];
  struct tidegate_manager *manager;
  MUST(tidegate_manager_new(&options, &manager, &error));
  close(ends[0]);
  uint8_t packet[ECHO_LENGTH];
  const uint8_t from[4] = {10, 1, 0, 1}, to[4] = {10, 9, 0, 1};
  echo_packet(packet, from, to, ECHO_REQUEST, 1);
  CHECK(write(ends[1], packet, sizeof packet) == sizeof packet);
  struct tidegate_counters counters;
  TIDEGATE_INIT(&counters);
  for (int round = 0; counters.dropped_packets == 0; round++) {
    CHECK(round < 1000);
    usleep(20000);
    MUST(tidegate_manager_counters(manager, &counters, &error));
  }
  CHECK(counters.sent_packets == 0);
  struct tidegate_buffer json;
  MUST(tidegate_manager_counters_json(manager, &json, &error));
  CHECK(strstr(json.data, "\"packet_drops\"") != NULL);
  tidegate_buffer_free(&json);
  tidegate_manager_free(manager);
  close(ends[1]);
}

static unsigned told, tried;
static struct tidegate_manager *running;

// Waits for nothing, so it must not wait for its own end.
static void on_event(void *context, const struct tidegate_event *event) {
  struct tidegate_event_info info;
  TIDEGATE_INIT(&info);
  MUST(tidegate_event_read(event, &info, &error));
  __atomic_add_fetch((unsigned *)context, 1, __ATOMIC_SEQ_CST);
  struct tidegate_manager *manager = __atomic_load_n(&running, __ATOMIC_SEQ_CST);
  if (manager != NULL && info.kind == TIDEGATE_EVENT_KIND_DONE) {
    FAILS(TIDEGATE_CODE_MISUSE, tidegate_manager_shutdown(manager, &error));
    int active;
    FAILS(TIDEGATE_CODE_NOT_FOUND, tidegate_manager_unload(manager, tidegate_text_of("none"), &error));
    MUST(tidegate_manager_is_active(manager, tidegate_text_of("none"), &active, &error));
    __atomic_add_fetch(&tried, 1, __ATOMIC_SEQ_CST);
  }
}

static void *ask_for_status(void *of) {
  for (int round = 0; round < 20; round++) {
    struct tidegate_status *status;
    MUST(tidegate_manager_status(of, &status, &error));
    CHECK(tidegate_status_connections(status) <= 1);
    tidegate_status_free(status);
  }
  return NULL;
}

static void managers(void) {
  struct tidegate_options options;
  TIDEGATE_INIT(&options);
  options.config = tidegate_text_of("[node]\nname = \"a\"\nlisten = [\"127.0.91.1\"]\n");
  options.device = TIDEGATE_DEVICE_NONE;
  options.ike_port = options.nat_port = TIDEGATE_PORT_ANY;
  options.on_event = on_event;
  options.context = &told;
  struct tidegate_manager *manager;
  MUST(tidegate_manager_new(&options, &manager, &error));
  __atomic_store_n(&running, manager, __ATOMIC_SEQ_CST);
  uint16_t ike, nat;
  MUST(tidegate_manager_ports(manager, &ike, &nat, &error));
  CHECK(ike != 0 && nat != 0);

  // Requests without sense, at once and later.
  struct tidegate_target target;
  TIDEGATE_INIT(&target);
  FAILS(TIDEGATE_CODE_ARGUMENT,
        tidegate_manager_run(manager, TIDEGATE_ACTION_INITIATE, &target, 0, NULL, &error));
  target.connection = tidegate_text_of("none");
  FAILS(TIDEGATE_CODE_NOT_FOUND,
        tidegate_manager_run(manager, TIDEGATE_ACTION_INITIATE, &target, 0, NULL, &error));
  FAILS(TIDEGATE_CODE_ARGUMENT, tidegate_manager_run(manager, 9, &target, 0, NULL, &error));
  FAILS(TIDEGATE_CODE_NOT_FOUND,
        tidegate_manager_run(manager, TIDEGATE_ACTION_INSTALL, &target, 0, NULL, &error));
  FAILS(TIDEGATE_CODE_NOT_FOUND,
        tidegate_manager_run(manager, TIDEGATE_ACTION_UNINSTALL, &target, 0, NULL, &error));
  FAILS(TIDEGATE_CODE_NOT_FOUND,
        tidegate_manager_run(manager, TIDEGATE_ACTION_REAUTHENTICATE, &target, 0, NULL, &error));
  target.spi = 0x1000;
  FAILS(TIDEGATE_CODE_ARGUMENT,
        tidegate_manager_run(manager, TIDEGATE_ACTION_REKEY, &target, 0, NULL, &error));
  target.spi = 0;
  uint64_t number = 0;
  MUST(tidegate_manager_begin(manager, TIDEGATE_ACTION_INITIATE, &target, &number, &error));
  CHECK(number != 0);

  // What others than the manager take, and what there is not.
  struct tidegate_event *event;
  FAILS(TIDEGATE_CODE_MISUSE, tidegate_manager_next_event(manager, &event, &error));
  int fd;
  FAILS(TIDEGATE_CODE_MISUSE, tidegate_manager_packet_fd(manager, &fd, &error));
  struct tidegate_bytes packet = {(const uint8_t *)"E", 1};
  FAILS(TIDEGATE_CODE_MISUSE, tidegate_manager_send_packet(manager, packet, &error));
  FAILS(TIDEGATE_CODE_NOT_FOUND, tidegate_manager_unload_pool(manager, tidegate_text_of("none"), &error));

  // A silent peer, which a caller does not want to wait for.
  static const char connection[] =
      "[[connection]]\nname = \"silent\"\n[connection.remote]\nid = \"b\"\naddresses = [\"127.0.91.2\"]\n"
      "psk_file = \"secret\"\n[[connection.child]]\nname = \"net\"\nremote = [\"10.2.0.0/16\"]\n";
  FAILS(TIDEGATE_CODE_CONFIG, tidegate_manager_load(manager, tidegate_text_of(connection), &error));
  tidegate_manager_free(NULL);
  pthread_t threads[4];
  for (int at = 0; at < 4; at++) CHECK(pthread_create(&threads[at], NULL, ask_for_status, manager) == 0);
  for (int at = 0; at < 4; at++) CHECK(pthread_join(threads[at], NULL) == 0);
  for (int round = 0; __atomic_load_n(&tried, __ATOMIC_SEQ_CST) == 0; round++) {
    CHECK(round < 1000);
    usleep(20000);
  }
  __atomic_store_n(&running, (struct tidegate_manager *)NULL, __ATOMIC_SEQ_CST);
  tidegate_manager_free(manager);
  CHECK(__atomic_load_n(&told, __ATOMIC_SEQ_CST) >= 1);
}

static void a_peer_that_is_silent(void) {
  struct tidegate_credentials *credentials = tidegate_credentials_new();
  MUST(tidegate_credentials_add(credentials, tidegate_text_of("secret"), bytes_of("known to both"), &error));
  FAILS(TIDEGATE_CODE_NOT_FOUND, tidegate_credentials_remove(credentials, tidegate_text_of("other"), &error));
  struct tidegate_options options;
  TIDEGATE_INIT(&options);
  options.config = tidegate_text_of(
      "[node]\nname = \"a\"\nlisten = [\"127.0.91.3\"]\n"
      "[[connection]]\nname = \"silent\"\n[connection.remote]\nid = \"b\"\naddresses = [\"127.0.91.4\"]\n"
      "psk_file = \"secret\"\n[[connection.child]]\nname = \"net\"\nremote = [\"10.2.0.0/16\"]\n");
  options.credentials = credentials;
  options.device = TIDEGATE_DEVICE_NONE;
  options.ike_port = options.nat_port = TIDEGATE_PORT_ANY;
  struct tidegate_manager *manager;
  MUST(tidegate_manager_new(&options, &manager, &error));
  MUST(tidegate_credentials_remove(credentials, tidegate_text_of("secret"), &error));
  tidegate_credentials_free(credentials);
  struct tidegate_target target;
  TIDEGATE_INIT(&target);
  target.connection = tidegate_text_of("silent");
  FAILS(TIDEGATE_CODE_TIMEOUT,
        tidegate_manager_run(manager, TIDEGATE_ACTION_INITIATE, &target, 50, NULL, &error));
  struct tidegate_status *status;
  struct tidegate_connection_status connection;
  TIDEGATE_INIT(&connection);
  // On a busy machine the time is over before the engine has begun.
  int connects = 0;
  for (int tries = 0; tries < 1000 && !connects; tries++) {
    MUST(tidegate_manager_status(manager, &status, &error));
    MUST(tidegate_status_connection(status, 0, &connection, &error));
    connects = text_is(connection.state, "connecting");
    tidegate_status_free(status);
    usleep(20000);
  }
  CHECK(connects);
  // The same configuration without its connection takes that away.
  MUST(tidegate_manager_apply(manager, tidegate_text_of("[node]\nname = \"a\"\nlisten = [\"127.0.91.3\"]\n"),
                              &error));
  MUST(tidegate_manager_status(manager, &status, &error));
  CHECK(tidegate_status_connections(status) == 0);
  tidegate_status_free(status);
  FAILS(TIDEGATE_CODE_MISUSE,
        tidegate_manager_apply(manager, tidegate_text_of("[node]\nname = \"a\"\nport = 1500\n"), &error));
  int is_running;
  MUST(tidegate_manager_shutdown(manager, &error));
  MUST(tidegate_manager_is_running(manager, &is_running, &error));
  CHECK(is_running == 0);
  FAILS(TIDEGATE_CODE_STOPPED, tidegate_manager_status(manager, &status, &error));
  tidegate_manager_free(manager);
}

int main(void) {
  CHECK(strcmp(tidegate_version(), "") != 0);
  errors_that_are_none();
  nothing_where_something_should_be();
  texts_that_are_none();
  addresses();
  sizes();
  configurations();
  a_descriptor();
  managers();
  a_peer_that_is_silent();
  puts("done");
  return 0;
}
