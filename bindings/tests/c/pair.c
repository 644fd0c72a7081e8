// Two engines without threads in one process: datagrams and packets go from one to the other by hand, and time
// passes when nothing else is left to do.
//
//   pair psk              by a shared secret, arithmetic done on the side
//   pair signer FOLDER    by certificates, the key of one in an "HSM"
//
//    10.1/16 ── a ══ 192.0.2.1 ─── 192.0.2.2 ══ b ── 10.2/16

#include "check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

struct node {
  struct tidegate_engine *engine;
  uint64_t done;
  enum tidegate_code outcome;
  unsigned up, captures, rekeyed;
  uint8_t packet[2048];
  size_t packet_length;
  unsigned packets;
};

static struct node a, b;
static struct tidegate_time now;
static unsigned drawn, copied, jobs;
static const uint8_t INSIDE_A[4] = {10, 1, 0, 1}, INSIDE_B[4] = {10, 2, 0, 1};

// Not for real use: whoever knows the seed knows all that is drawn.
static void draw(void *context, uint8_t *bytes, size_t length) {
  uint64_t *state = context;
  for (size_t at = 0; at < length; at++) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    bytes[at] = (uint8_t)*state;
  }
  drawn++;
}

static void take_events(struct node *node) {
  for (;;) {
    struct tidegate_event *event;
    MUST(tidegate_engine_next_event(node->engine, &event, &error));
    if (event == NULL) return;
    struct tidegate_event_info info;
    TIDEGATE_INIT(&info);
    MUST(tidegate_event_read(event, &info, &error));
    printf("%s %.*s: %.*s\n", node == &a ? "a" : "b", (int)info.name.length, info.name.data,
           (int)info.message.length, info.message.data);
    if (info.kind == TIDEGATE_EVENT_KIND_UP) node->up++;
    if (info.kind == TIDEGATE_EVENT_KIND_CAPTURE) {
      CHECK(text_is(info.local_selectors, node == &a ? "10.1.0.0/16" : "10.2.0.0/16"));
      node->captures++;
    }
    if (info.kind == TIDEGATE_EVENT_KIND_CHILD_REKEYED) {
      CHECK(info.spi != 0 && info.former_spi != 0 && info.spi != info.former_spi);
      node->rekeyed++;
    }
    if (info.kind == TIDEGATE_EVENT_KIND_DONE) {
      node->done = info.number;
      node->outcome = (enum tidegate_code)info.code;
    }
    tidegate_event_free(event);
  }
}

// Carries what one has to say to the other; twice each, as networks do. Whether there was anything.
static bool carry(struct node *from, struct node *to) {
  struct tidegate_datagram datagram;
  TIDEGATE_INIT(&datagram);
  MUST(tidegate_engine_next_datagram(from->engine, &datagram, &error));
  if (datagram.payload.length == 0) return false;
  CHECK(datagram.local.family == 4 && datagram.local.port != 0);
  struct tidegate_datagram received = datagram;
  received.local = datagram.remote;
  received.remote = datagram.local;
  received.dont_fragment = 0;
  for (int time = 0; time < 2; time++) {
    MUST(tidegate_engine_receive(to->engine, now, &received, &error));
    copied++;
  }
  return true;
}

static bool do_jobs(struct node *node) {
  struct tidegate_job *job;
  MUST(tidegate_engine_next_job(node->engine, &job, &error));
  if (job == NULL) return false;
  MUST(tidegate_job_run(job, &error));
  MUST(tidegate_engine_finish_job(node->engine, now, job, &error));
  jobs++;
  return true;
}

static void take_packets(struct node *node) {
  for (;;) {
    struct tidegate_bytes packet;
    MUST(tidegate_engine_next_packet(node->engine, &packet, &error));
    if (packet.length == 0) return;
    CHECK(packet.length <= sizeof node->packet);
    memcpy(node->packet, packet.data, packet.length);
    node->packet_length = packet.length;
    node->packets++;
  }
}

// Until neither has anything to say any more.
static void settle(void) {
  bool busy = true;
  while (busy) {
    busy = carry(&a, &b);
    busy |= carry(&b, &a);
    busy |= do_jobs(&a);
    busy |= do_jobs(&b);
    take_events(&a);
    take_events(&b);
    take_packets(&a);
    take_packets(&b);
  }
}

// Lets the next deadline come.
static void sleep_on(void) {
  uint64_t of_a, of_b;
  MUST(tidegate_engine_next_deadline(a.engine, now, &of_a, &error));
  MUST(tidegate_engine_next_deadline(b.engine, now, &of_b, &error));
  uint64_t next = of_a < of_b ? of_a : of_b;
  CHECK(next != UINT64_MAX);
  if (next > now.nanoseconds) now.nanoseconds = next;
  MUST(tidegate_engine_handle_timeout(a.engine, now, &error));
  MUST(tidegate_engine_handle_timeout(b.engine, now, &error));
  settle();
}

static void wait_for(struct node *node, uint64_t number) {
  settle();
  for (int deadlines = 0; node->done != number; deadlines++) {
    CHECK(deadlines < 1000);
    sleep_on();
  }
  CHECK(node->outcome == TIDEGATE_CODE_OK);
}

static struct tidegate_engine *engine(const char *config, const char *address, uint32_t jobs_done,
                                      struct tidegate_credentials *credentials, uint64_t *seed) {
  struct tidegate_engine_options options;
  TIDEGATE_INIT(&options);
  options.config = tidegate_text_of(config);
  options.credentials = credentials;
  options.jobs = jobs_done;
  options.now = now;
  options.random = seed == NULL ? NULL : draw;
  options.context = seed;
  struct tidegate_engine *made;
  MUST(tidegate_engine_new(&options, &made, &error));
  struct tidegate_address own;
  MUST(tidegate_address_parse(tidegate_text_of(address), &own, &error));
  MUST(tidegate_engine_set_addresses(made, now, &own, 1, &error));
  return made;
}

// A packet into one, and the same out of the other.
static void send(struct node *from, struct node *to, const uint8_t *source, const uint8_t *destination,
                 uint8_t filling) {
  uint8_t packet[ECHO_LENGTH];
  echo_packet(packet, source, destination, ECHO_REQUEST, filling);
  struct tidegate_bytes bytes = {packet, sizeof packet};
  unsigned before = to->packets;
  MUST(tidegate_engine_send_packet(from->engine, now, bytes, &error));
  settle();
  CHECK(to->packets == before + 1);
  CHECK(to->packet_length == sizeof packet && memcmp(to->packet, packet, sizeof packet) == 0);
}

// The child of a node that has carried so many packets each way; returns its SPI.
static uint32_t look(struct node *node, uint64_t carried) {
  struct tidegate_status *status;
  MUST(tidegate_engine_status(node->engine, now, &status, &error));
  CHECK(tidegate_status_connections(status) == 1);
  struct tidegate_connection_status connection;
  TIDEGATE_INIT(&connection);
  MUST(tidegate_status_connection(status, 0, &connection, &error));
  CHECK(text_is(connection.name, "peer") && text_is(connection.state, "up"));
  CHECK(connection.ike_sas == 1 && connection.children == 1);
  struct tidegate_ike_sa_status ike;
  TIDEGATE_INIT(&ike);
  MUST(tidegate_status_ike_sa(status, 0, 0, &ike, &error));
  CHECK(text_is(ike.phase, "ESTABLISHED") && ike.initiator == (node == &a) && ike.remote.family == 4);
  struct tidegate_child_sa_status child;
  uint32_t spi = 0;
  for (size_t at = 0; at < ike.child_sas; at++) {
    TIDEGATE_INIT(&child);
    MUST(tidegate_status_child_sa(status, 0, 0, at, &child, &error));
    if (!child.current) continue;
    CHECK(text_is(child.name, "net") && child.udp == 1);
    // There may be one more that carries nothing: it shows that the keys are in use.
    CHECK(child.sent_packets >= carried && child.sent_packets <= carried + 1);
    CHECK(child.received_packets >= carried && child.received_packets <= carried + 1);
    spi = child.spi_in;
  }
  FAILS(TIDEGATE_CODE_NOT_FOUND, tidegate_status_ike_sa(status, 0, 1, &ike, &error));
  struct tidegate_buffer json;
  MUST(tidegate_status_json(status, &json, &error));
  CHECK(strlen(json.data) == json.length && strstr(json.data, "\"state\":\"up\"") != NULL);
  tidegate_buffer_free(&json);
  tidegate_buffer_free(&json);
  tidegate_status_free(status);
  CHECK(spi != 0);
  return spi;
}

// The number of the one IKE SA of a node.
static uint64_t ike_number(struct node *node) {
  struct tidegate_status *status;
  MUST(tidegate_engine_status(node->engine, now, &status, &error));
  struct tidegate_ike_sa_status ike;
  TIDEGATE_INIT(&ike);
  MUST(tidegate_status_ike_sa(status, 0, 0, &ike, &error));
  FAILS(TIDEGATE_CODE_NOT_FOUND, tidegate_status_ike_sa(status, 0, 1, &ike, &error));
  tidegate_status_free(status);
  return ike.number;
}

static void act(struct node *node, uint32_t action, const char *child) {
  struct tidegate_target target;
  TIDEGATE_INIT(&target);
  target.connection = tidegate_text_of("peer");
  target.child = tidegate_text_of(child);
  uint64_t number;
  MUST(tidegate_engine_begin(node->engine, now, action, &target, &number, &error));
  wait_for(node, number);
}

// Both ends prove anew who they are. Packets go on, by other SAs.
static void reauthenticate(void) {
  uint64_t before = ike_number(&a);
  act(&a, TIDEGATE_ACTION_REAUTHENTICATE, "");
  CHECK(ike_number(&a) != before);
  send(&a, &b, INSIDE_A, INSIDE_B, 79);
  send(&b, &a, INSIDE_B, INSIDE_A, 80);
}

// What is down comes back by a packet while it is installed, and not otherwise.
static void install(void) {
  act(&a, TIDEGATE_ACTION_TERMINATE, "");
  act(&a, TIDEGATE_ACTION_INSTALL, "net");
  send(&a, &b, INSIDE_A, INSIDE_B, 81);
  act(&a, TIDEGATE_ACTION_UNINSTALL, "net");
  send(&a, &b, INSIDE_A, INSIDE_B, 82);
  act(&a, TIDEGATE_ACTION_TERMINATE, "");
  uint8_t packet[ECHO_LENGTH];
  echo_packet(packet, INSIDE_A, INSIDE_B, ECHO_REQUEST, 83);
  struct tidegate_bytes bytes = {packet, sizeof packet};
  unsigned before = b.packets;
  MUST(tidegate_engine_send_packet(a.engine, now, bytes, &error));
  settle();
  CHECK(b.packets == before);
  act(&a, TIDEGATE_ACTION_INITIATE, "");
}

static void run(void) {
  struct tidegate_target target;
  TIDEGATE_INIT(&target);
  target.connection = tidegate_text_of("peer");
  uint64_t number;
  MUST(tidegate_engine_begin(a.engine, now, TIDEGATE_ACTION_INITIATE, &target, &number, &error));
  CHECK(number != 0);
  wait_for(&a, number);
  CHECK(a.up == 1 && b.up == 1 && a.captures == 1 && b.captures == 1);

  for (uint8_t filling = 0; filling < 20; filling++) {
    send(&a, &b, INSIDE_A, INSIDE_B, filling);
    send(&b, &a, INSIDE_B, INSIDE_A, filling);
  }
  uint32_t spi = look(&a, 20);

  // What comes twice is taken once, and what no connection protects goes nowhere.
  struct tidegate_counters counters;
  TIDEGATE_INIT(&counters);
  MUST(tidegate_engine_counters(b.engine, &counters, &error));
  CHECK(counters.received_packets == 20 && counters.dropped_packets >= 20);
  uint8_t stray[ECHO_LENGTH];
  const uint8_t elsewhere[4] = {10, 9, 0, 1};
  echo_packet(stray, INSIDE_A, elsewhere, ECHO_REQUEST, 1);
  struct tidegate_bytes bytes = {stray, sizeof stray};
  MUST(tidegate_engine_send_packet(a.engine, now, bytes, &error));
  struct tidegate_datagram none;
  TIDEGATE_INIT(&none);
  MUST(tidegate_engine_next_datagram(a.engine, &none, &error));
  CHECK(none.payload.length == 0);

  // New keys for the child, then packets by these.
  target.child = tidegate_text_of("net");
  MUST(tidegate_engine_begin(b.engine, now, TIDEGATE_ACTION_REKEY, &target, &number, &error));
  wait_for(&b, number);
  CHECK(a.rekeyed == 1 && b.rekeyed == 1);
  send(&a, &b, INSIDE_A, INSIDE_B, 77);
  send(&b, &a, INSIDE_B, INSIDE_A, 78);
  CHECK(look(&a, 1) != spi);
  reauthenticate();
  install();

  struct tidegate_buffer json;
  MUST(tidegate_engine_counters_json(a.engine, &json, &error));
  CHECK(strstr(json.data, "\"ike_established\":") != NULL);
  tidegate_buffer_free(&json);

  MUST(tidegate_engine_shutdown(a.engine, now, &number, &error));
  wait_for(&a, number);
  int idle = 0;
  for (int deadlines = 0; !idle; deadlines++) {
    CHECK(deadlines < 1000);
    sleep_on();
    MUST(tidegate_engine_is_idle(a.engine, &idle, &error));
  }
}

#define CHILD                    \
  "[[connection.child]]\n"       \
  "name = \"net\"\n"             \
  "local = [\"10.%d.0.0/16\"]\n" \
  "remote = [\"10.%d.0.0/16\"]\n"

static void by_secret(void) {
  static const char *const form =
      "[node]\nname = \"%s\"\n"
      "[[connection]]\nname = \"peer\"\n"
      "[connection.remote]\nid = \"%s\"\naddresses = [\"%s\"]\npsk_file = \"held:secret\"\n" CHILD;
  char config[1024];
  struct tidegate_credentials *credentials = tidegate_credentials_new();
  MUST(tidegate_credentials_add(credentials, tidegate_text_of("held:secret"), bytes_of("known to both"), &error));
  uint64_t seed = 0x5eed;
  snprintf(config, sizeof config, form, "a", "b", "192.0.2.2", 1, 2);
  a.engine = engine(config, "192.0.2.1", TIDEGATE_JOBS_POLLED, credentials, &seed);
  snprintf(config, sizeof config, form, "b", "a", "192.0.2.1", 2, 1);
  b.engine = engine(config, "192.0.2.2", TIDEGATE_JOBS_AT_ONCE, credentials, NULL);
  tidegate_credentials_free(credentials);
  run();
  CHECK(drawn > 0 && jobs > 0 && copied > 0);
  tidegate_engine_free(a.engine);
  tidegate_engine_free(b.engine);
}

// Stands for a token: the library never sees its key.
struct token {
  EVP_PKEY *key;
  unsigned signatures, released;
};

static int32_t sign(void *context, uint32_t scheme, struct tidegate_bytes message, uint8_t *signature,
                    size_t *length) {
  struct token *token = context;
  CHECK(scheme == TIDEGATE_SCHEME_ECDSA_P256_SHA256);
  EVP_MD_CTX *digest = EVP_MD_CTX_new();
  int good = EVP_DigestSignInit(digest, NULL, EVP_sha256(), NULL, token->key) == 1 &&
             EVP_DigestSign(digest, signature, length, message.data, message.length) == 1;
  EVP_MD_CTX_free(digest);
  token->signatures++;
  return good ? 0 : 1;
}

static void release(void *context) {
  struct token *token = context;
  token->released++;
}

static FILE *file_of(const char *folder, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  CHECK(file != NULL);
  return file;
}

static void hold(struct tidegate_credentials *credentials, const char *folder, const char *name) {
  char content[8192];
  FILE *file = file_of(folder, name);
  content[fread(content, 1, sizeof content - 1, file)] = 0;
  fclose(file);
  MUST(tidegate_credentials_add(credentials, tidegate_text_of(name), bytes_of(content), &error));
}

static void by_signer(const char *folder) {
  static const char *const form =
      "[node]\nname = \"%s\"\ncertificate = \"%s.pem\"\nkey = \"%s\"\ntrust = [\"ca.pem\"]\n"
      "[[connection]]\nname = \"peer\"\n"
      "[connection.remote]\nid = \"O=test, CN=%s\"\naddresses = [\"%s\"]\n" CHILD;
  char config[1024];
  struct token token = {NULL, 0, 0};
  FILE *file = file_of(folder, "a.key");
  token.key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
  fclose(file);
  CHECK(token.key != NULL);

  struct tidegate_credentials *credentials = tidegate_credentials_new();
  hold(credentials, folder, "ca.pem");
  hold(credentials, folder, "a.pem");
  hold(credentials, folder, "b.pem");
  hold(credentials, folder, "b.key");
  struct tidegate_signer signer;
  TIDEGATE_INIT(&signer);
  uint8_t *public_key = NULL;
  int length = i2d_PUBKEY(token.key, &public_key);
  CHECK(length > 0);
  signer.public_key.data = public_key;
  signer.public_key.length = (size_t)length;
  signer.form = TIDEGATE_SIGNATURE_FORM_DER;
  signer.context = &token;
  signer.release = release;
  FAILS(TIDEGATE_CODE_ARGUMENT,
        tidegate_credentials_add_signer(credentials, tidegate_text_of("token:a"), &signer, &error));
  signer.sign = sign;
  MUST(tidegate_credentials_add_signer(credentials, tidegate_text_of("token:a"), &signer, &error));
  OPENSSL_free(public_key);

  snprintf(config, sizeof config, form, "a", "a", "token:a", "b", "192.0.2.2", 1, 2);
  a.engine = engine(config, "192.0.2.1", TIDEGATE_JOBS_AT_ONCE, credentials, NULL);
  snprintf(config, sizeof config, form, "b", "b", "b.key", "a", "192.0.2.1", 2, 1);
  b.engine = engine(config, "192.0.2.2", TIDEGATE_JOBS_AT_ONCE, credentials, NULL);
  tidegate_credentials_free(credentials);
  run();
  CHECK(token.signatures >= 1 && token.released == 0);
  tidegate_engine_free(b.engine);
  tidegate_engine_free(a.engine);
  CHECK(token.released == 1);
  EVP_PKEY_free(token.key);
}

int main(int count, char **words) {
  CHECK(tidegate_abi_version() >> 16 == TIDEGATE_ABI_VERSION >> 16);
  now.nanoseconds = 1000000000;
  now.wall_seconds = (uint64_t)time(NULL);
  if (count == 2 && strcmp(words[1], "psk") == 0) {
    by_secret();
  } else if (count == 3 && strcmp(words[1], "signer") == 0) {
    by_signer(words[2]);
  } else {
    fprintf(stderr, "usage: pair psk | pair signer FOLDER\n");
    return 2;
  }
  puts("done");
  return 0;
}
