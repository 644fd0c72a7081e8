// Tidegate: IPsec tunnels in userspace.
//
// - A manager (tidegate_manager_…) is an engine with threads of its own. An engine (tidegate_engine_…) has none:
//   the caller brings time, randomness, datagrams and packets.
// - Every function that can fail returns a tidegate_code, and takes as its last argument a place for an error
//   object, or NULL. What it finds there it overwrites: with NULL, or with an error that is to be freed by
//   tidegate_error_free.
// - Objects behind pointers are the library's: what a function hands out is freed by the function that it names,
//   once. Whoever frees NULL does nothing. Texts and structs that are passed in are copied.
// - Structs that begin with a size may grow in later versions. TIDEGATE_INIT makes one ready: its size is set,
//   and all else is 0, which says nothing.
// - Pointers must be valid for what they are said to point to, and aligned. NULL is told from others, and
//   answered by TIDEGATE_CODE_ARGUMENT.
//
// README.md says more of threads and ownership.


#pragma once

// Made by cbindgen: change the sources, not this file.

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Version of the interface that this header describes: major in the upper 16 bits, minor in the lower ones. A
// program works with every library of its major version whose minor version is not below its own.
#define TIDEGATE_ABI_VERSION (1 << 16)

// Any free port.
#define TIDEGATE_PORT_ANY UINT32_MAX

// What became of a call.
enum tidegate_code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // It was done.
  TIDEGATE_CODE_OK = 0,
  // An argument is of no use: a null pointer, a text that is not UTF-8, a number without meaning.
  TIDEGATE_CODE_ARGUMENT = 1,
  // A struct holds something in a part that this version of the library does not know.
  TIDEGATE_CODE_UNSUPPORTED = 2,
  // The configuration has mistakes. The message has a line for each.
  TIDEGATE_CODE_CONFIG = 3,
  // The system refuses something: a socket, an interface, a thread.
  TIDEGATE_CODE_SYSTEM = 4,
  // What was asked for was tried and has failed; `tidegate_error_culprit` says whose fault it is.
  TIDEGATE_CODE_FAILED = 5,
  // There is no connection, child or SA of this name.
  TIDEGATE_CODE_NOT_FOUND = 6,
  // The call makes no sense as things are.
  TIDEGATE_CODE_MISUSE = 7,
  // The engine has been shut down.
  TIDEGATE_CODE_STOPPED = 8,
  // It was not done in the time given, and goes on.
  TIDEGATE_CODE_TIMEOUT = 9,
  // Too much waits for the caller already; for an engine, another call is still under way.
  TIDEGATE_CODE_BUSY = 10,
  // A mistake in the library. What it was asked for may be half done.
  TIDEGATE_CODE_BUG = 11,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_code tidegate_code;
#else
typedef int32_t tidegate_code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Whose fault a failure is.
enum tidegate_culprit
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // There was no failure, or it is not about a peer.
  TIDEGATE_CULPRIT_NONE = 0,
  // Our configuration, or our own doing.
  TIDEGATE_CULPRIT_US = 1,
  // The peer's configuration.
  TIDEGATE_CULPRIT_PEER = 2,
  // One of the two configurations; they do not fit each other.
  TIDEGATE_CULPRIT_MISMATCH = 3,
  // The peer broke the protocol.
  TIDEGATE_CULPRIT_MISBEHAVIOUR = 4,
  // The network lost or refused packets, or the peer is not there.
  TIDEGATE_CULPRIT_NETWORK = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_culprit tidegate_culprit;
#else
typedef uint32_t tidegate_culprit;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Where inner packets come from and go to.
enum tidegate_device
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // As [node.device] says: a TUN interface unless it says otherwise.
  TIDEGATE_DEVICE_CONFIG = 0,
  // Nowhere: tunnels are set up, and carry nothing.
  TIDEGATE_DEVICE_NONE = 1,
  // A TUN interface, whatever [node.device] says of the kind. It takes CAP_NET_ADMIN.
  TIDEGATE_DEVICE_TUN = 2,
  // `device_fd`: a TUN descriptor without packet information, or one of a pair of SOCK_SEQPACKET or
  // SOCK_DGRAM sockets. One packet a read or write.
  TIDEGATE_DEVICE_DESCRIPTOR = 3,
  // Calls: `tidegate_manager_send_packet` and, for what comes out, `on_packet` or
  // `tidegate_manager_next_packet`.
  TIDEGATE_DEVICE_CALLS = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_device tidegate_device;
#else
typedef uint32_t tidegate_device;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Whether the kernel's routes are kept.
enum tidegate_routes
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Where the device is a TUN interface of ours, by [node.routes].
  TIDEGATE_ROUTES_CONFIG = 0,
  // They are the embedder's: what it sends into the device is what there is.
  TIDEGATE_ROUTES_NONE = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_routes tidegate_routes;
#else
typedef uint32_t tidegate_routes;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Where revocation lists come from that a peer's chain takes.
enum tidegate_lists
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // From where certificates say, by HTTP, besides those that the configuration names. `lists_folder` keeps them.
  TIDEGATE_LISTS_FETCHED = 0,
  // From the configuration alone: nothing is fetched.
  TIDEGATE_LISTS_GIVEN = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_lists tidegate_lists;
#else
typedef uint32_t tidegate_lists;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What kind of event it is. There may be new ones in later versions: leave out what is not known.
enum tidegate_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Something that has no number yet; `name` and `message` say what.
  TIDEGATE_EVENT_KIND_OTHER = 0,
  // A request is done, or has failed: `number` is its number, `code`, `culprit` and `message` say how it
  // went, `count` to how many SAs it was done.
  TIDEGATE_EVENT_KIND_DONE = 1,
  // All children of `connection` that should be up are up. `remote` is where the peer is.
  TIDEGATE_EVENT_KIND_UP = 2,
  // A `connection` of which children were up has none any more.
  TIDEGATE_EVENT_KIND_DOWN = 3,
  // An attempt at `connection` has failed and is made again in `count` milliseconds.
  TIDEGATE_EVENT_KIND_RETRY = 4,
  // The engine has stopped; nothing comes after this.
  TIDEGATE_EVENT_KIND_STOPPED = 5,
  // The queue was full, and `count` events were not kept.
  TIDEGATE_EVENT_KIND_MISSED = 6,
  // We begin to set an IKE SA up, or ask for `child` on one that stands. `remote` is where the peer is, `number`
  // the number of the IKE SA.
  TIDEGATE_EVENT_KIND_ATTEMPT = 7,
  // An IKE SA of `connection` stands. `peer` is who the peer has proved to be.
  TIDEGATE_EVENT_KIND_IKE_ESTABLISHED = 10,
  // An attempt at an IKE SA has failed.
  TIDEGATE_EVENT_KIND_IKE_FAILED = 11,
  // An IKE SA has new keys.
  TIDEGATE_EVENT_KIND_IKE_REKEYED = 12,
  // An IKE SA is gone, and its children with it.
  TIDEGATE_EVENT_KIND_IKE_CLOSED = 13,
  // Nothing is left of an IKE SA at the peer either.
  TIDEGATE_EVENT_KIND_IKE_GONE = 14,
  // A peer that nobody knows was turned away.
  TIDEGATE_EVENT_KIND_REFUSED = 15,
  // The peer is at another address.
  TIDEGATE_EVENT_KIND_PEER_MOVED = 16,
  // The peer gave us addresses, DNS servers or subnets, which `message` lists.
  TIDEGATE_EVENT_KIND_CONFIGURED = 17,
  // Something of an IKE SA that an operator should know, and that ends nothing.
  TIDEGATE_EVENT_KIND_WARNING = 18,
  // The child SA `spi` of `child` stands, and carries what both selectors say.
  TIDEGATE_EVENT_KIND_CHILD_ESTABLISHED = 20,
  // The child SA `former_spi` has new keys, as `spi`.
  TIDEGATE_EVENT_KIND_CHILD_REKEYED = 21,
  // A child has failed.
  TIDEGATE_EVENT_KIND_CHILD_FAILED = 22,
  // The child SA `spi` of `child` is gone.
  TIDEGATE_EVENT_KIND_CHILD_CLOSED = 23,
  // A child was refused, as another peer's carries its traffic already.
  TIDEGATE_EVENT_KIND_PREFIX_TAKEN = 24,
  // A child has come up. Those that take its place with new keys are no news.
  TIDEGATE_EVENT_KIND_CHILD_UP = 25,
  // A child that was told of as up is gone, and none with new keys took its place.
  TIDEGATE_EVENT_KIND_CHILD_DOWN = 26,
  // An IKE SA has come up, with the number `number`. Those that take its place with new keys are no news.
  TIDEGATE_EVENT_KIND_IKE_UP = 27,
  // An IKE SA that was told of as up is gone, and none with new keys took its place. Its children have been
  // told of before.
  TIDEGATE_EVENT_KIND_IKE_DOWN = 28,
  // Our own addresses have changed.
  TIDEGATE_EVENT_KIND_ADDRESSES_CHANGED = 30,
  // Something that an operator should look at; everything goes on.
  TIDEGATE_EVENT_KIND_TROUBLE = 31,
  // Of an engine without threads: packets from `local_selectors` to `remote_selectors` belong to it from now
  // on, and must go nowhere else. `number` names the capture.
  TIDEGATE_EVENT_KIND_CAPTURE = 40,
  // The capture `number` is over.
  TIDEGATE_EVENT_KIND_RELEASE = 41,
  // Packets of the capture `number` are to be no longer than `count` bytes.
  TIDEGATE_EVENT_KIND_LIMIT_MTU = 42,
  // A peer has given us the address `local`: packets to it come out of the tunnel, and it may send.
  TIDEGATE_EVENT_KIND_ADDRESS_ADDED = 43,
  // The address `local` is ours no longer.
  TIDEGATE_EVENT_KIND_ADDRESS_REMOVED = 44,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_event_kind tidegate_event_kind;
#else
typedef uint32_t tidegate_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How much an event matters.
enum tidegate_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Somebody should look at it.
  TIDEGATE_LEVEL_WARNING = 1,
  // Worth knowing.
  TIDEGATE_LEVEL_INFO = 2,
  // For those who look for something.
  TIDEGATE_LEVEL_DEBUG = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_level tidegate_level;
#else
typedef uint32_t tidegate_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a request is to do.
enum tidegate_action
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Set up.
  TIDEGATE_ACTION_INITIATE = 1,
  // Take down, at both ends.
  TIDEGATE_ACTION_TERMINATE = 2,
  // Give new keys.
  TIDEGATE_ACTION_REKEY = 3,
  // Take down here at once. The peer is told once, and not waited for.
  TIDEGATE_ACTION_TERMINATE_BY_FORCE = 4,
  // Have both ends of IKE SAs prove anew who they are: new SAs stand before the old ones go.
  TIDEGATE_ACTION_REAUTHENTICATE = 5,
  // Let traffic set children up, or put the rules of those in force that pass or drop it. Needs a name, as to set
  // up does.
  TIDEGATE_ACTION_INSTALL = 6,
  // Undo what Install and a start on traffic do. SAs that stand stay. Needs a name too.
  TIDEGATE_ACTION_UNINSTALL = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_action tidegate_action;
#else
typedef uint32_t tidegate_action;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How a signature is made: key, hash and padding.
enum tidegate_scheme
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // RSASSA-PKCS1-v1_5 with SHA-256.
  TIDEGATE_SCHEME_RSA_PKCS1_SHA256 = 1,
  // RSASSA-PKCS1-v1_5 with SHA-384.
  TIDEGATE_SCHEME_RSA_PKCS1_SHA384 = 2,
  // RSASSA-PKCS1-v1_5 with SHA-512.
  TIDEGATE_SCHEME_RSA_PKCS1_SHA512 = 3,
  // RSASSA-PSS with SHA-256 throughout and a salt of the same length.
  TIDEGATE_SCHEME_RSA_PSS_SHA256 = 4,
  // RSASSA-PSS with SHA-384 throughout and a salt of the same length.
  TIDEGATE_SCHEME_RSA_PSS_SHA384 = 5,
  // RSASSA-PSS with SHA-512 throughout and a salt of the same length.
  TIDEGATE_SCHEME_RSA_PSS_SHA512 = 6,
  // ECDSA on P-256 with SHA-256.
  TIDEGATE_SCHEME_ECDSA_P256_SHA256 = 7,
  // ECDSA on P-384 with SHA-384.
  TIDEGATE_SCHEME_ECDSA_P384_SHA384 = 8,
  // ECDSA on P-521 with SHA-512.
  TIDEGATE_SCHEME_ECDSA_P521_SHA512 = 9,
  // Ed25519.
  TIDEGATE_SCHEME_ED25519 = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_scheme tidegate_scheme;
#else
typedef uint32_t tidegate_scheme;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How an ECDSA signature is written. Others have but one form.
enum tidegate_signature_form
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // r and s one behind the other, each as wide as the group's order, as PKCS #11 has it.
  TIDEGATE_SIGNATURE_FORM_FIXED = 0,
  // A SEQUENCE of both in DER, as OpenSSL has it.
  TIDEGATE_SIGNATURE_FORM_DER = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_signature_form tidegate_signature_form;
#else
typedef uint32_t tidegate_signature_form;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Who does the arithmetic of key exchanges and signatures.
enum tidegate_jobs
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The call that they come up in; a signer is called within it.
  TIDEGATE_JOBS_AT_ONCE = 0,
  // Whoever takes them by `tidegate_engine_next_job`, on any thread.
  TIDEGATE_JOBS_POLLED = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tidegate_jobs tidegate_jobs;
#else
typedef uint32_t tidegate_jobs;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Secrets, certificates and keys by the names that configurations have for them: where one of these names stands
// in place of a file, no file is opened. Any number of managers and engines may share one; each sees what is
// added later when it next reads a text. Any thread may use it.
struct tidegate_credentials;

// An engine without threads. One call at a time: any thread may make it, but while it is under way every other call
// fails with TIDEGATE_CODE_BUSY. After every call, poll datagrams, packets and events until there are no more, and
// ask for the next deadline.
struct tidegate_engine;

// Why a call has failed.
struct tidegate_error;

// Something that has happened. It never changes, and any thread may read it.
struct tidegate_event;

// Some arithmetic: a key exchange, a signature to make or to check.
struct tidegate_job;

// A question for a resolver of names.
struct tidegate_lookup;

// A running engine. Any thread may call it, several at once, until it is freed.
struct tidegate_manager;

// All connections and their SAs as they were at one moment. It never changes, and any thread may read it.
struct tidegate_status;

// A text in UTF-8 that belongs to somebody else. It may have zeros in it, and need not have one behind it.
// Nothing is read through the pointer where the length is 0, and it may be NULL then.
struct tidegate_text {
  // Its first byte.
  const char *data;
  // How many bytes it has.
  size_t length;
};

// An IP address and a port.
struct tidegate_address {
  // 4 or 6; 0 where there is none.
  uint8_t family;
  // Always 0.
  uint8_t reserved;
  // In the order of this machine, not of the network.
  uint16_t port;
  // Which link, of a link-local IPv6 address.
  uint32_t scope;
  // In the order of the network; of IPv4 the first four count.
  uint8_t octets[16];
};

// A text that belongs to the caller, who gives it back by `tidegate_buffer_free` and changes neither pointer nor
// length before that. There is a zero behind it that the length does not count.
struct tidegate_buffer {
  // Its first byte; NULL where there is nothing to give back.
  char *data;
  // How many bytes it has.
  size_t length;
};

// Bytes that belong to somebody else. Where the length is 0, the pointer may be NULL.
struct tidegate_bytes {
  // The first one.
  const uint8_t *data;
  // How many.
  size_t length;
};

// Signs `message`, which is not hashed yet, by a TIDEGATE_SCHEME. Writes the signature to `signature`, where
// there is room for `*length` bytes, and its length to `*length`. 0 if that was done, anything else if not.
//
// It runs on a thread of the library and may take its time; several may run at once. It must not end by a C++
// exception or longjmp.
typedef int32_t (*tidegate_sign_function)(void *context,
                                          uint32_t scheme,
                                          struct tidegate_bytes message,
                                          uint8_t *signature,
                                          size_t *length);

// Says that nothing of `context` is needed any more.
typedef void (*tidegate_release_function)(void *context);

// A key that signs by a call.
struct tidegate_signer {
  // sizeof(struct tidegate_signer)
  size_t size;
  // Its public half as SubjectPublicKeyInfo in DER.
  struct tidegate_bytes public_key;
  // What it can sign by, the best first: TIDEGATE_SCHEME numbers. NULL for what such a key can as a rule.
  const uint32_t *schemes;
  // How many these are.
  size_t scheme_count;
  // What it makes if it is an ECDSA key: TIDEGATE_SIGNATURE_FORM.
  uint32_t form;
  // Always 0.
  uint32_t reserved;
  // Handed to both functions. They may be called on any thread.
  void *context;
  // Signs.
  tidegate_sign_function sign;
  // Called once when the key is needed no more; may be NULL.
  tidegate_release_function release;
};

// The present by two clocks, as the caller reads them.
struct tidegate_time {
  // Nanoseconds from an origin of the caller's choosing, by a clock that is never set and goes on while the
  // machine sleeps (CLOCK_BOOTTIME). It must not go back.
  uint64_t nanoseconds;
  // Seconds since 1970-01-01 UTC. Certificates alone are judged by it.
  uint64_t wall_seconds;
};

// Fills `bytes` with `length` random ones. Whoever predicts them knows keys. It must not end by a C++ exception or
// longjmp.
typedef void (*tidegate_random_function)(void *context, uint8_t *bytes, size_t length);

// What an engine without threads is made of. A field that is 0 or empty leaves it to the configuration.
struct tidegate_engine_options {
  // sizeof(struct tidegate_engine_options)
  size_t size;
  // The text of a tidegate.toml. Of [node], only what concerns peers and ports means something here.
  struct tidegate_text config;
  // The folder that files named in texts are looked for in; empty for the current one.
  struct tidegate_text folder;
  // What texts name and is in no file; may be NULL. They may be freed once the engine is there.
  const struct tidegate_credentials *credentials;
  // In place of [node] port.
  uint16_t ike_port;
  // In place of [node] nat_port.
  uint16_t nat_port;
  // TIDEGATE_JOBS
  uint32_t jobs;
  // The present.
  struct tidegate_time now;
  // Handed to the function.
  void *context;
  // Where SPIs, nonces, initialization vectors' secrets and all else that is drawn here come from; NULL for the
  // system. Private values of key exchanges and what signatures need are always the system's. It is called by
  // the threads that call the engine and run its jobs.
  tidegate_random_function random;
};

// What an action is about. What is said of these narrows it; a field that is 0 or empty says nothing.
//
// - `connection` alone: the connection with all its children.
// - `child`, with or without `connection`: a child, or all of that name.
// - `ike_sa`: an IKE SA by its number.
// - `spi`: a child SA by its inbound SPI.
// - `reqid`: all child SAs of this number.
// - nothing at all: everything.
//
// To set up, to install and to uninstall, a connection or child has to be named.
struct tidegate_target {
  // sizeof(struct tidegate_target)
  size_t size;
  // A connection.
  struct tidegate_text connection;
  // A child.
  struct tidegate_text child;
  // Number of an IKE SA, as status shows it.
  uint64_t ike_sa;
  // Inbound SPI of a child SA.
  uint32_t spi;
  // Number that child SAs are known by from outside, fixed in their configuration or given by the engine.
  uint32_t reqid;
};

// A datagram on its way to a peer or from one.
struct tidegate_datagram {
  // sizeof(struct tidegate_datagram)
  size_t size;
  // Our address and port; port 0 of ESP without UDP (IP protocol 50).
  struct tidegate_address local;
  // The peer's address and port; port 0 of ESP without UDP.
  struct tidegate_address remote;
  // Payload of UDP, or of the IP packet where there is no UDP.
  struct tidegate_bytes payload;
  // DSCP and ECN of the IP header.
  uint8_t traffic_class;
  // 1 if the network must not fragment it. Of what has come it means nothing.
  uint8_t dont_fragment;
  // Always 0.
  uint8_t reserved[6];
};

// What was carried and what was dropped since the start. The same by reason, and more, is in the JSON.
struct tidegate_counters {
  // sizeof(struct tidegate_counters), set by the caller.
  size_t size;
  // Packets sealed and sent.
  uint64_t sent_packets;
  // Bytes of these.
  uint64_t sent_bytes;
  // Packets received and opened.
  uint64_t received_packets;
  // Bytes of these.
  uint64_t received_bytes;
  // Packets and ESP that went no further, for whatever reason.
  uint64_t dropped_packets;
  // IKE messages that went no further, for whatever reason.
  uint64_t dropped_ike;
  // Packets that had to wait for an SA.
  uint64_t held_packets;
  // IKE messages received.
  uint64_t ike_messages;
  // IKE requests that were sent again.
  uint64_t ike_retransmissions;
  // IKE SAs that came to stand.
  uint64_t ike_established;
  // Attempts at IKE SAs that failed.
  uint64_t ike_failed;
};

// What is in an event. Texts are empty, addresses without a family and numbers 0 where there is nothing to say.
struct tidegate_event_info {
  // sizeof(struct tidegate_event_info), set by the caller.
  size_t size;
  // TIDEGATE_EVENT_KIND
  uint32_t kind;
  // TIDEGATE_LEVEL
  uint32_t level;
  // TIDEGATE_CODE: of a request, how it went; of others OK, or FAILED where there is a culprit.
  int32_t code;
  // TIDEGATE_CULPRIT
  uint32_t culprit;
  // Of a request or a capture; of a child that is up or down, the one that it is known by from outside.
  uint64_t number;
  // How many, or how long.
  uint64_t count;
  // Inbound SPI of a child SA.
  uint32_t spi;
  // Inbound SPI of the one before it.
  uint32_t former_spi;
  // The kind in a word, for logs.
  struct tidegate_text name;
  // What has happened, for people.
  struct tidegate_text message;
  // The connection that it is about.
  struct tidegate_text connection;
  // The child that it is about.
  struct tidegate_text child;
  // Identity of the peer.
  struct tidegate_text peer;
  // What is carried on our side, with commas between.
  struct tidegate_text local_selectors;
  // What is carried on the peer's side, with commas between.
  struct tidegate_text remote_selectors;
  // Our address.
  struct tidegate_address local;
  // The peer's address.
  struct tidegate_address remote;
};

// Takes an event, which is there during the call alone. It runs on a thread of the library, one call after the
// other. It may call the manager, but neither shut it down nor free it. It must not end by a C++ exception or
// longjmp.
typedef void (*tidegate_event_function)(void *context, const struct tidegate_event *event);

// Takes a packet that has come out of a tunnel: an IP datagram, which is there during the call alone. It runs on
// a thread of the library, one call after the other, and keeps all other packets waiting. It must not end by a
// C++ exception or longjmp.
typedef void (*tidegate_packet_function)(void *context, struct tidegate_bytes packet);

// What a manager is made of. A field that is 0 or empty leaves it to the configuration.
struct tidegate_options {
  // sizeof(struct tidegate_options)
  size_t size;
  // The text of a tidegate.toml. Of [node], `state`, `vici`, `metrics` and `log` are the daemon's and mean
  // nothing here. Empty for a node that says nothing of itself, to which connections are loaded later.
  struct tidegate_text config;
  // The folder that files named in texts are looked for in; empty for the current one.
  struct tidegate_text folder;
  // What texts name and is in no file; may be NULL. They may be freed once the manager is there.
  const struct tidegate_credentials *credentials;
  // Addresses to listen at, in place of [node] listen; their ports do not count.
  const struct tidegate_address *listen;
  // How many these are.
  size_t listen_count;
  // In place of [node] port; TIDEGATE_PORT_ANY for any free one.
  uint32_t ike_port;
  // In place of [node] nat_port; TIDEGATE_PORT_ANY for any free one.
  uint32_t nat_port;
  // TIDEGATE_DEVICE
  uint32_t device;
  // Of TIDEGATE_DEVICE_DESCRIPTOR. It is duplicated, and switched to not waiting; the caller closes its own.
  int32_t device_fd;
  // In place of [node.device] name.
  struct tidegate_text device_name;
  // In place of [node.device] mtu.
  uint32_t mtu;
  // TIDEGATE_ROUTES
  uint32_t routes;
  // How many threads carry packets, up to 64: 1 for both directions, or as many as there are, shared between
  // them. 0 for what [node] workers says.
  uint32_t packet_threads;
  // TIDEGATE_LISTS
  uint32_t lists;
  // Where revocation lists that were fetched are kept for the next manager; empty for nowhere but in memory.
  struct tidegate_text lists_folder;
  // Handed to both functions. They may be called on any thread.
  void *context;
  // Takes events; NULL where they are asked for by `tidegate_manager_next_event`.
  tidegate_event_function on_event;
  // Takes packets of TIDEGATE_DEVICE_CALLS; NULL where they are asked for by `tidegate_manager_next_packet`.
  tidegate_packet_function on_packet;
};

// A connection as it is loaded.
struct tidegate_connection_status {
  // sizeof(struct tidegate_connection_status), set by the caller.
  size_t size;
  // Its name.
  struct tidegate_text name;
  // How it is, in a word: "up", "connecting", "waiting", "retrying", "down".
  struct tidegate_text state;
  // Our identity.
  struct tidegate_text local_id;
  // The peer's, or the pattern that it must match.
  struct tidegate_text remote_id;
  // Why the last attempt or SA came to its end; empty where none has.
  struct tidegate_text last_verdict;
  // How many children are configured.
  size_t children;
  // How many IKE SAs there are.
  size_t ike_sas;
  // Seconds until the next attempt; negative where none is due.
  double retry_in;
  // Failures in a row.
  uint32_t failures;
  // Always 0.
  uint32_t reserved;
};

// An IKE SA.
struct tidegate_ike_sa_status {
  // sizeof(struct tidegate_ike_sa_status), set by the caller.
  size_t size;
  // Its number, unique in a run.
  uint64_t number;
  // SPI of its initiator.
  uint64_t initiator_spi;
  // SPI of its responder.
  uint64_t responder_spi;
  // "CONNECTING", "ESTABLISHED", "REKEYED" or "DELETING".
  struct tidegate_text phase;
  // Who the peer has proved to be; empty before it has.
  struct tidegate_text peer;
  // What was negotiated, as proposals are written.
  struct tidegate_text suite;
  // Our address.
  struct tidegate_address local;
  // The peer's address.
  struct tidegate_address remote;
  // Its age in seconds.
  double age;
  // Seconds until it is rekeyed; negative where that is not known.
  double rekey_in;
  // Seconds since the peer proved to be there; negative where that is not known.
  double silence;
  // Round trip time in milliseconds; negative where that is not known.
  double rtt_ms;
  // How many child SAs it has.
  size_t child_sas;
  // 1 if we began it.
  uint8_t initiator;
  // 1 if a NAT is in front of us.
  uint8_t local_nat;
  // 1 if a NAT is in front of the peer.
  uint8_t remote_nat;
  // Always 0.
  uint8_t reserved[5];
};

// A child SA.
struct tidegate_child_sa_status {
  // sizeof(struct tidegate_child_sa_status), set by the caller.
  size_t size;
  // Name of its configuration.
  struct tidegate_text name;
  // What was negotiated, as proposals are written.
  struct tidegate_text suite;
  // What it carries on our side, with commas between.
  struct tidegate_text local_selectors;
  // What it carries on the peer's side, with commas between.
  struct tidegate_text remote_selectors;
  // Packets received.
  uint64_t received_packets;
  // Bytes of these.
  uint64_t received_bytes;
  // Packets sent.
  uint64_t sent_packets;
  // Bytes of these.
  uint64_t sent_bytes;
  // Its age in seconds.
  double age;
  // Seconds until it is rekeyed; negative where that is not known.
  double rekey_in;
  // Our SPI.
  uint32_t spi_in;
  // The peer's SPI.
  uint32_t spi_out;
  // 1 if it is the one that counts, and not on its way out.
  uint8_t current;
  // 1 if it goes in UDP.
  uint8_t udp;
  // Always 0.
  uint8_t reserved[6];
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Reads "192.0.2.1", "192.0.2.1:500", "fd00::1" or "[fd00::1]:500". Without a port, that is 0.
tidegate_code tidegate_address_parse(struct tidegate_text text,
                                     struct tidegate_address *address,
                                     struct tidegate_error **error);

// Writes an address, with its port where it has one. The text is the caller's.
tidegate_code tidegate_address_format(struct tidegate_address address,
                                      struct tidegate_buffer *text,
                                      struct tidegate_error **error);

// An empty one, to be freed by `tidegate_credentials_free`.
struct tidegate_credentials *tidegate_credentials_new(void);

// Holds what a file of this name would: a shared secret (text, hexadecimal behind 0x, base64 behind 0s), or
// certificates, revocation lists or a private key, in PEM or DER. The content is copied, and the copy is wiped
// when nobody needs it any more. What had the name before is replaced.
tidegate_code tidegate_credentials_add(const struct tidegate_credentials *credentials,
                                       struct tidegate_text name,
                                       struct tidegate_bytes content,
                                       struct tidegate_error **error);

// Holds a key that signs by a call, in place of a file with a private key. The struct is copied, and so are the
// public key and the schemes. If this succeeds, `release` is called once, when nobody can want a signature any
// more; if it fails, it is not.
tidegate_code tidegate_credentials_add_signer(const struct tidegate_credentials *credentials,
                                              struct tidegate_text name,
                                              const struct tidegate_signer *signer,
                                              struct tidegate_error **error);

// Forgets what has this name. Connections that were made with it keep it.
tidegate_code tidegate_credentials_remove(const struct tidegate_credentials *credentials,
                                          struct tidegate_text name,
                                          struct tidegate_error **error);

// Gives them back; managers and engines that were made with them go on. NULL is none.
void tidegate_credentials_free(struct tidegate_credentials *credentials);

// The next job, of an engine with TIDEGATE_JOBS_POLLED; `*job` is NULL if there is none. Run it, on any thread, and
// give it back by `tidegate_engine_finish_job`; or free it, and its attempt times out.
tidegate_code tidegate_engine_next_job(const struct tidegate_engine *engine,
                                       struct tidegate_job **job,
                                       struct tidegate_error **error);

// Does a job, which takes milliseconds, or as long as a signer takes. The engine may be called meanwhile.
tidegate_code tidegate_job_run(const struct tidegate_job *job, struct tidegate_error **error);

// Gives a job back to its engine and frees it. One that was not run is run first.
tidegate_code tidegate_engine_finish_job(const struct tidegate_engine *engine,
                                         struct tidegate_time now,
                                         struct tidegate_job *job,
                                         struct tidegate_error **error);

// Frees a job that was not given back. NULL is none.
void tidegate_job_free(struct tidegate_job *job);

// The next names that somebody has to look up; `*lookup` is NULL if there are none. Answer it by
// `tidegate_engine_finish_lookup`.
tidegate_code tidegate_engine_next_lookup(const struct tidegate_engine *engine,
                                          struct tidegate_lookup **lookup,
                                          struct tidegate_error **error);

// A name to look up by its place, counted from 0; empty behind the last one. It lives as long as the lookup.
struct tidegate_text tidegate_lookup_name(const struct tidegate_lookup *lookup, size_t name);

// Answers a lookup and frees it: the addresses of its names, in the order of the names; none if there are none.
tidegate_code tidegate_engine_finish_lookup(const struct tidegate_engine *engine,
                                            struct tidegate_time now,
                                            struct tidegate_lookup *lookup,
                                            const struct tidegate_address *addresses,
                                            size_t count,
                                            struct tidegate_error **error);

// Frees a lookup that was not answered. NULL is none.
void tidegate_lookup_free(struct tidegate_lookup *lookup);

// Makes an engine and loads the connections of its configuration. It does nothing before it has an address:
// `tidegate_engine_set_addresses`. `*engine` is to be freed by `tidegate_engine_free`, and NULL if there is none.
//
// The function and the context in the options must be there until that has returned, and no job of it is left.
tidegate_code tidegate_engine_new(const struct tidegate_engine_options *options,
                                  struct tidegate_engine **engine,
                                  struct tidegate_error **error);

// Gives an engine back, without a word to peers: see `tidegate_engine_shutdown`. No call with it may be under way.
// NULL is none.
void tidegate_engine_free(struct tidegate_engine *engine);

// Says which addresses we have now, the one that most traffic leaves from first. Ports do not count.
tidegate_code tidegate_engine_set_addresses(const struct tidegate_engine *engine,
                                            struct tidegate_time now,
                                            const struct tidegate_address *addresses,
                                            size_t count,
                                            struct tidegate_error **error);

// Adds connections and pools, as `tidegate_manager_load` does.
tidegate_code tidegate_engine_load(const struct tidegate_engine *engine,
                                   struct tidegate_time now,
                                   struct tidegate_text text,
                                   struct tidegate_error **error);

// Takes a connection away, and its SAs at both ends.
tidegate_code tidegate_engine_unload(const struct tidegate_engine *engine,
                                     struct tidegate_time now,
                                     struct tidegate_text connection,
                                     struct tidegate_error **error);

// Begins what `action` (TIDEGATE_ACTION) says. An event of kind TIDEGATE_EVENT_KIND_DONE with this number comes when
// it is done or has failed.
tidegate_code tidegate_engine_begin(const struct tidegate_engine *engine,
                                    struct tidegate_time now,
                                    uint32_t action,
                                    const struct tidegate_target *target,
                                    uint64_t *number,
                                    struct tidegate_error **error);

// Ends all SAs at both ends. An event of kind TIDEGATE_EVENT_KIND_DONE with this number comes when the peers have
// agreed, or after two seconds; until then the engine is driven as before.
tidegate_code tidegate_engine_shutdown(const struct tidegate_engine *engine,
                                       struct tidegate_time now,
                                       uint64_t *number,
                                       struct tidegate_error **error);

// A datagram has come from a socket. What it was for is told by polling; junk is counted and dropped.
tidegate_code tidegate_engine_receive(const struct tidegate_engine *engine,
                                      struct tidegate_time now,
                                      const struct tidegate_datagram *datagram,
                                      struct tidegate_error **error);

// An IP packet is to go into a tunnel. Without an SA for it, it is held while one is set up; what no connection
// protects is counted and dropped.
tidegate_code tidegate_engine_send_packet(const struct tidegate_engine *engine,
                                          struct tidegate_time now,
                                          struct tidegate_bytes packet,
                                          struct tidegate_error **error);

// A deadline has passed.
tidegate_code tidegate_engine_handle_timeout(const struct tidegate_engine *engine,
                                             struct tidegate_time now,
                                             struct tidegate_error **error);

// When to call `tidegate_engine_handle_timeout` at the latest, by the clock of `now.nanoseconds`; UINT64_MAX if there
// is nothing to wait for.
tidegate_code tidegate_engine_next_deadline(const struct tidegate_engine *engine,
                                            struct tidegate_time now,
                                            uint64_t *nanoseconds,
                                            struct tidegate_error **error);

// The network says that the path to an address carries no more than `mtu` bytes.
tidegate_code tidegate_engine_path_mtu(const struct tidegate_engine *engine,
                                       struct tidegate_time now,
                                       struct tidegate_address remote,
                                       size_t mtu,
                                       struct tidegate_error **error);

// The next datagram to be sent. `datagram->payload.length` is 0 if there is none; else its bytes are there until the
// next call with this engine. Set `datagram->size` before.
tidegate_code tidegate_engine_next_datagram(const struct tidegate_engine *engine,
                                            struct tidegate_datagram *datagram,
                                            struct tidegate_error **error);

// The next packet that has come out of a tunnel, or that answers one that was sent into it. `packet->length` is 0 if
// there is none; else its bytes are there until the next call with this engine.
tidegate_code tidegate_engine_next_packet(const struct tidegate_engine *engine,
                                          struct tidegate_bytes *packet,
                                          struct tidegate_error **error);

// The next event, to be freed by `tidegate_event_free`; `*event` is NULL if there is none.
tidegate_code tidegate_engine_next_event(const struct tidegate_engine *engine,
                                         struct tidegate_event **event,
                                         struct tidegate_error **error);

// All connections and their SAs as they are now. `*status` is to be freed by `tidegate_status_free`.
tidegate_code tidegate_engine_status(const struct tidegate_engine *engine,
                                     struct tidegate_time now,
                                     struct tidegate_status **status,
                                     struct tidegate_error **error);

// What was carried and what was dropped. Set `counters->size` before.
tidegate_code tidegate_engine_counters(const struct tidegate_engine *engine,
                                       struct tidegate_counters *counters,
                                       struct tidegate_error **error);

// The same by reason and with more, as JSON. The text is the caller's.
tidegate_code tidegate_engine_counters_json(const struct tidegate_engine *engine,
                                            struct tidegate_buffer *text,
                                            struct tidegate_error **error);

// Writes to `*idle` whether there is no SA, none to come, and nothing under way: 1, or 0.
tidegate_code tidegate_engine_is_idle(const struct tidegate_engine *engine,
                                      int32_t *idle,
                                      struct tidegate_error **error);

// The next job, of an engine with TIDEGATE_JOBS_POLLED; `*job` is NULL if there is none. Run it, on any thread, and
// give it back by `tidegate_engine_finish_job`; or free it, and its attempt times out.
tidegate_code tidegate_engine_next_job(const struct tidegate_engine *engine,
                                       struct tidegate_job **job,
                                       struct tidegate_error **error);

// Does a job, which takes milliseconds, or as long as a signer takes. The engine may be called meanwhile.
tidegate_code tidegate_job_run(const struct tidegate_job *job, struct tidegate_error **error);

// Gives a job back to its engine and frees it. One that was not run is run first.
tidegate_code tidegate_engine_finish_job(const struct tidegate_engine *engine,
                                         struct tidegate_time now,
                                         struct tidegate_job *job,
                                         struct tidegate_error **error);

// Frees a job that was not given back. NULL is none.
void tidegate_job_free(struct tidegate_job *job);

// The next names that somebody has to look up; `*lookup` is NULL if there are none. Answer it by
// `tidegate_engine_finish_lookup`.
tidegate_code tidegate_engine_next_lookup(const struct tidegate_engine *engine,
                                          struct tidegate_lookup **lookup,
                                          struct tidegate_error **error);

// A name to look up by its place, counted from 0; empty behind the last one. It lives as long as the lookup.
struct tidegate_text tidegate_lookup_name(const struct tidegate_lookup *lookup, size_t name);

// Answers a lookup and frees it: the addresses of its names, in the order of the names; none if there are none.
tidegate_code tidegate_engine_finish_lookup(const struct tidegate_engine *engine,
                                            struct tidegate_time now,
                                            struct tidegate_lookup *lookup,
                                            const struct tidegate_address *addresses,
                                            size_t count,
                                            struct tidegate_error **error);

// Frees a lookup that was not answered. NULL is none.
void tidegate_lookup_free(struct tidegate_lookup *lookup);

// The code of an error; TIDEGATE_CODE_OK of NULL.
tidegate_code tidegate_error_code(const struct tidegate_error *error);

// Whose fault it is, where it is about a peer.
tidegate_culprit tidegate_error_culprit(const struct tidegate_error *error);

// What to tell people. There is a zero behind it, and it lives as long as the error; empty of NULL.
struct tidegate_text tidegate_error_message(const struct tidegate_error *error);

// Gives an error back. NULL is none.
void tidegate_error_free(struct tidegate_error *error);

// Says what is in an event. The texts live as long as the event. Set `info->size` before.
tidegate_code tidegate_event_read(const struct tidegate_event *event,
                                  struct tidegate_event_info *info,
                                  struct tidegate_error **error);

// Gives an event back. NULL is none.
void tidegate_event_free(struct tidegate_event *event);

// The version of the interface that the library has, to be compared with TIDEGATE_ABI_VERSION.
uint32_t tidegate_abi_version(void);

// The version of Tidegate, such as "0.1.0". It is there for as long as the library is.
const char *tidegate_version(void);

// Reads "192.0.2.1", "192.0.2.1:500", "fd00::1" or "[fd00::1]:500". Without a port, that is 0.
tidegate_code tidegate_address_parse(struct tidegate_text text,
                                     struct tidegate_address *address,
                                     struct tidegate_error **error);

// Writes an address, with its port where it has one. The text is the caller's.
tidegate_code tidegate_address_format(struct tidegate_address address,
                                      struct tidegate_buffer *text,
                                      struct tidegate_error **error);

// An empty one, to be freed by `tidegate_credentials_free`.
struct tidegate_credentials *tidegate_credentials_new(void);

// Holds what a file of this name would: a shared secret (text, hexadecimal behind 0x, base64 behind 0s), or
// certificates, revocation lists or a private key, in PEM or DER. The content is copied, and the copy is wiped
// when nobody needs it any more. What had the name before is replaced.
tidegate_code tidegate_credentials_add(const struct tidegate_credentials *credentials,
                                       struct tidegate_text name,
                                       struct tidegate_bytes content,
                                       struct tidegate_error **error);

// Holds a key that signs by a call, in place of a file with a private key. The struct is copied, and so are the
// public key and the schemes. If this succeeds, `release` is called once, when nobody can want a signature any
// more; if it fails, it is not.
tidegate_code tidegate_credentials_add_signer(const struct tidegate_credentials *credentials,
                                              struct tidegate_text name,
                                              const struct tidegate_signer *signer,
                                              struct tidegate_error **error);

// Forgets what has this name. Connections that were made with it keep it.
tidegate_code tidegate_credentials_remove(const struct tidegate_credentials *credentials,
                                          struct tidegate_text name,
                                          struct tidegate_error **error);

// Gives them back; managers and engines that were made with them go on. NULL is none.
void tidegate_credentials_free(struct tidegate_credentials *credentials);

// Makes an engine and loads the connections of its configuration. It does nothing before it has an address:
// `tidegate_engine_set_addresses`. `*engine` is to be freed by `tidegate_engine_free`, and NULL if there is none.
//
// The function and the context in the options must be there until that has returned, and no job of it is left.
tidegate_code tidegate_engine_new(const struct tidegate_engine_options *options,
                                  struct tidegate_engine **engine,
                                  struct tidegate_error **error);

// Gives an engine back, without a word to peers: see `tidegate_engine_shutdown`. No call with it may be under way.
// NULL is none.
void tidegate_engine_free(struct tidegate_engine *engine);

// Says which addresses we have now, the one that most traffic leaves from first. Ports do not count.
tidegate_code tidegate_engine_set_addresses(const struct tidegate_engine *engine,
                                            struct tidegate_time now,
                                            const struct tidegate_address *addresses,
                                            size_t count,
                                            struct tidegate_error **error);

// Adds connections and pools, as `tidegate_manager_load` does.
tidegate_code tidegate_engine_load(const struct tidegate_engine *engine,
                                   struct tidegate_time now,
                                   struct tidegate_text text,
                                   struct tidegate_error **error);

// Takes a connection away, and its SAs at both ends.
tidegate_code tidegate_engine_unload(const struct tidegate_engine *engine,
                                     struct tidegate_time now,
                                     struct tidegate_text connection,
                                     struct tidegate_error **error);

// Begins what `action` (TIDEGATE_ACTION) says. An event of kind TIDEGATE_EVENT_KIND_DONE with this number comes when
// it is done or has failed.
tidegate_code tidegate_engine_begin(const struct tidegate_engine *engine,
                                    struct tidegate_time now,
                                    uint32_t action,
                                    const struct tidegate_target *target,
                                    uint64_t *number,
                                    struct tidegate_error **error);

// Ends all SAs at both ends. An event of kind TIDEGATE_EVENT_KIND_DONE with this number comes when the peers have
// agreed, or after two seconds; until then the engine is driven as before.
tidegate_code tidegate_engine_shutdown(const struct tidegate_engine *engine,
                                       struct tidegate_time now,
                                       uint64_t *number,
                                       struct tidegate_error **error);

// A datagram has come from a socket. What it was for is told by polling; junk is counted and dropped.
tidegate_code tidegate_engine_receive(const struct tidegate_engine *engine,
                                      struct tidegate_time now,
                                      const struct tidegate_datagram *datagram,
                                      struct tidegate_error **error);

// An IP packet is to go into a tunnel. Without an SA for it, it is held while one is set up; what no connection
// protects is counted and dropped.
tidegate_code tidegate_engine_send_packet(const struct tidegate_engine *engine,
                                          struct tidegate_time now,
                                          struct tidegate_bytes packet,
                                          struct tidegate_error **error);

// A deadline has passed.
tidegate_code tidegate_engine_handle_timeout(const struct tidegate_engine *engine,
                                             struct tidegate_time now,
                                             struct tidegate_error **error);

// When to call `tidegate_engine_handle_timeout` at the latest, by the clock of `now.nanoseconds`; UINT64_MAX if there
// is nothing to wait for.
tidegate_code tidegate_engine_next_deadline(const struct tidegate_engine *engine,
                                            struct tidegate_time now,
                                            uint64_t *nanoseconds,
                                            struct tidegate_error **error);

// The network says that the path to an address carries no more than `mtu` bytes.
tidegate_code tidegate_engine_path_mtu(const struct tidegate_engine *engine,
                                       struct tidegate_time now,
                                       struct tidegate_address remote,
                                       size_t mtu,
                                       struct tidegate_error **error);

// The next datagram to be sent. `datagram->payload.length` is 0 if there is none; else its bytes are there until the
// next call with this engine. Set `datagram->size` before.
tidegate_code tidegate_engine_next_datagram(const struct tidegate_engine *engine,
                                            struct tidegate_datagram *datagram,
                                            struct tidegate_error **error);

// The next packet that has come out of a tunnel, or that answers one that was sent into it. `packet->length` is 0 if
// there is none; else its bytes are there until the next call with this engine.
tidegate_code tidegate_engine_next_packet(const struct tidegate_engine *engine,
                                          struct tidegate_bytes *packet,
                                          struct tidegate_error **error);

// The next event, to be freed by `tidegate_event_free`; `*event` is NULL if there is none.
tidegate_code tidegate_engine_next_event(const struct tidegate_engine *engine,
                                         struct tidegate_event **event,
                                         struct tidegate_error **error);

// All connections and their SAs as they are now. `*status` is to be freed by `tidegate_status_free`.
tidegate_code tidegate_engine_status(const struct tidegate_engine *engine,
                                     struct tidegate_time now,
                                     struct tidegate_status **status,
                                     struct tidegate_error **error);

// What was carried and what was dropped. Set `counters->size` before.
tidegate_code tidegate_engine_counters(const struct tidegate_engine *engine,
                                       struct tidegate_counters *counters,
                                       struct tidegate_error **error);

// The same by reason and with more, as JSON. The text is the caller's.
tidegate_code tidegate_engine_counters_json(const struct tidegate_engine *engine,
                                            struct tidegate_buffer *text,
                                            struct tidegate_error **error);

// Writes to `*idle` whether there is no SA, none to come, and nothing under way: 1, or 0.
tidegate_code tidegate_engine_is_idle(const struct tidegate_engine *engine,
                                      int32_t *idle,
                                      struct tidegate_error **error);

// The next job, of an engine with TIDEGATE_JOBS_POLLED; `*job` is NULL if there is none. Run it, on any thread, and
// give it back by `tidegate_engine_finish_job`; or free it, and its attempt times out.
tidegate_code tidegate_engine_next_job(const struct tidegate_engine *engine,
                                       struct tidegate_job **job,
                                       struct tidegate_error **error);

// Does a job, which takes milliseconds, or as long as a signer takes. The engine may be called meanwhile.
tidegate_code tidegate_job_run(const struct tidegate_job *job, struct tidegate_error **error);

// Gives a job back to its engine and frees it. One that was not run is run first.
tidegate_code tidegate_engine_finish_job(const struct tidegate_engine *engine,
                                         struct tidegate_time now,
                                         struct tidegate_job *job,
                                         struct tidegate_error **error);

// Frees a job that was not given back. NULL is none.
void tidegate_job_free(struct tidegate_job *job);

// The next names that somebody has to look up; `*lookup` is NULL if there are none. Answer it by
// `tidegate_engine_finish_lookup`.
tidegate_code tidegate_engine_next_lookup(const struct tidegate_engine *engine,
                                          struct tidegate_lookup **lookup,
                                          struct tidegate_error **error);

// A name to look up by its place, counted from 0; empty behind the last one. It lives as long as the lookup.
struct tidegate_text tidegate_lookup_name(const struct tidegate_lookup *lookup, size_t name);

// Answers a lookup and frees it: the addresses of its names, in the order of the names; none if there are none.
tidegate_code tidegate_engine_finish_lookup(const struct tidegate_engine *engine,
                                            struct tidegate_time now,
                                            struct tidegate_lookup *lookup,
                                            const struct tidegate_address *addresses,
                                            size_t count,
                                            struct tidegate_error **error);

// Frees a lookup that was not answered. NULL is none.
void tidegate_lookup_free(struct tidegate_lookup *lookup);

// The code of an error; TIDEGATE_CODE_OK of NULL.
tidegate_code tidegate_error_code(const struct tidegate_error *error);

// Whose fault it is, where it is about a peer.
tidegate_culprit tidegate_error_culprit(const struct tidegate_error *error);

// What to tell people. There is a zero behind it, and it lives as long as the error; empty of NULL.
struct tidegate_text tidegate_error_message(const struct tidegate_error *error);

// Gives an error back. NULL is none.
void tidegate_error_free(struct tidegate_error *error);

// Says what is in an event. The texts live as long as the event. Set `info->size` before.
tidegate_code tidegate_event_read(const struct tidegate_event *event,
                                  struct tidegate_event_info *info,
                                  struct tidegate_error **error);

// Gives an event back. NULL is none.
void tidegate_event_free(struct tidegate_event *event);

// Starts an engine: opens its device and sockets, starts its threads, loads the connections of its configuration.
// `*manager` is to be freed by `tidegate_manager_free`, and NULL if there is none.
//
// The functions and the context in the options must be there until that has returned.
tidegate_code tidegate_manager_new(const struct tidegate_options *options,
                                   struct tidegate_manager **manager,
                                   struct tidegate_error **error);

// Shuts down if that was not done, waits until all threads have ended, and gives the manager back. No other call
// with it may be under way, and its descriptors are closed. In a function that the library has called, it ends
// later, on a thread of its own. NULL is none.
void tidegate_manager_free(struct tidegate_manager *manager);

// Ends all SAs at both ends, which takes two seconds at most, gives back routes and sockets, and stops. Calls fail
// with TIDEGATE_CODE_STOPPED after that, but for those that take events.
tidegate_code tidegate_manager_shutdown(const struct tidegate_manager *manager,
                                        struct tidegate_error **error);

// Writes to `*running` whether the engine runs: 1, or 0 once it has stopped.
tidegate_code tidegate_manager_is_running(const struct tidegate_manager *manager,
                                          int32_t *running,
                                          struct tidegate_error **error);

// Adds connections and pools: a text with [[connection]] and [[pool]] as in tidegate.toml. What a connection leaves
// out is as [node] has it in the configuration that the manager was made with. One of a name that there is already
// is replaced: its SAs end, and new ones are set up as its children want it.
tidegate_code tidegate_manager_load(const struct tidegate_manager *manager,
                                    struct tidegate_text text,
                                    struct tidegate_error **error);

// Makes connections and pools those of a whole tidegate.toml, peers and communities included. Only what differs
// from the one before is touched, and what `tidegate_manager_load` has added stays. With a mistake in the text
// nothing is done.
tidegate_code tidegate_manager_apply(const struct tidegate_manager *manager,
                                     struct tidegate_text config,
                                     struct tidegate_error **error);

// Takes a connection away, and its SAs at both ends.
tidegate_code tidegate_manager_unload(const struct tidegate_manager *manager,
                                      struct tidegate_text connection,
                                      struct tidegate_error **error);

// Takes a pool away. Addresses that were given out of it stay with their peers.
tidegate_code tidegate_manager_unload_pool(const struct tidegate_manager *manager,
                                           struct tidegate_text pool,
                                           struct tidegate_error **error);

// Does what `action` (TIDEGATE_ACTION) says, and waits until it is done or has failed, but for no more than so many
// milliseconds; 0 for as long as it takes. What is not done then goes on. `*count`, unless that is NULL, becomes
// the number of SAs that were taken down, given new keys or replaced.
tidegate_code tidegate_manager_run(const struct tidegate_manager *manager,
                                   uint32_t action,
                                   const struct tidegate_target *target,
                                   uint32_t milliseconds,
                                   size_t *count,
                                   struct tidegate_error **error);

// Begins what `action` (TIDEGATE_ACTION) says and does not wait. An event of kind TIDEGATE_EVENT_KIND_DONE with this
// number comes when it is done or has failed.
tidegate_code tidegate_manager_begin(const struct tidegate_manager *manager,
                                     uint32_t action,
                                     const struct tidegate_target *target,
                                     uint64_t *number,
                                     struct tidegate_error **error);

// Writes to `*active` whether a connection is up: 1, or 0.
tidegate_code tidegate_manager_is_active(const struct tidegate_manager *manager,
                                         struct tidegate_text connection,
                                         int32_t *active,
                                         struct tidegate_error **error);

// All connections and their SAs as they are now. `*status` is to be freed by `tidegate_status_free`.
tidegate_code tidegate_manager_status(const struct tidegate_manager *manager,
                                      struct tidegate_status **status,
                                      struct tidegate_error **error);

// What was carried and what was dropped. Set `counters->size` before.
tidegate_code tidegate_manager_counters(const struct tidegate_manager *manager,
                                        struct tidegate_counters *counters,
                                        struct tidegate_error **error);

// The same by reason and with more, as JSON. The text is the caller's.
tidegate_code tidegate_manager_counters_json(const struct tidegate_manager *manager,
                                             struct tidegate_buffer *text,
                                             struct tidegate_error **error);

// The ports that the engine is reached at: that of IKE alone, and that of IKE and ESP together.
tidegate_code tidegate_manager_ports(const struct tidegate_manager *manager,
                                     uint16_t *ike_port,
                                     uint16_t *nat_port,
                                     struct tidegate_error **error);

// A descriptor that is readable (POLLIN) while there are events, and always once the engine has stopped. Do nothing
// with it but wait for it; it belongs to the manager. Not where `on_event` takes them.
tidegate_code tidegate_manager_event_fd(const struct tidegate_manager *manager,
                                        int32_t *fd,
                                        struct tidegate_error **error);

// The next event, to be freed by `tidegate_event_free`; `*event` is NULL if there is none just now. It never waits.
tidegate_code tidegate_manager_next_event(const struct tidegate_manager *manager,
                                          struct tidegate_event **event,
                                          struct tidegate_error **error);

// Gives an IP packet to the tunnels, if the device is TIDEGATE_DEVICE_CALLS. It is copied, and this never waits:
// TIDEGATE_CODE_BUSY says that there was no room, and the packet is dropped.
tidegate_code tidegate_manager_send_packet(const struct tidegate_manager *manager,
                                           struct tidegate_bytes packet,
                                           struct tidegate_error **error);

// A descriptor that is readable (POLLIN) while packets have come out of tunnels, if the device is
// TIDEGATE_DEVICE_CALLS without `on_packet`. Do nothing with it but wait for it; it belongs to the manager.
tidegate_code tidegate_manager_packet_fd(const struct tidegate_manager *manager,
                                         int32_t *fd,
                                         struct tidegate_error **error);

// The next packet that has come out of a tunnel, into room for `*length` bytes; `*length` becomes how long it is,
// 0 if there is none just now. It never waits. If there is not room enough, `*length` says how much it takes, the
// call fails with TIDEGATE_CODE_ARGUMENT, and the packet stays.
tidegate_code tidegate_manager_next_packet(const struct tidegate_manager *manager,
                                           uint8_t *packet,
                                           size_t *length,
                                           struct tidegate_error **error);

// How many connections there are.
size_t tidegate_status_connections(const struct tidegate_status *status);

// A connection by its place, counted from 0; they are in the order of their names. Texts live as long as the
// status.
tidegate_code tidegate_status_connection(const struct tidegate_status *status,
                                         size_t connection,
                                         struct tidegate_connection_status *into,
                                         struct tidegate_error **error);

// An IKE SA of a connection by its place, counted from 0, the newest last. Texts live as long as the status.
tidegate_code tidegate_status_ike_sa(const struct tidegate_status *status,
                                     size_t connection,
                                     size_t ike_sa,
                                     struct tidegate_ike_sa_status *into,
                                     struct tidegate_error **error);

// A child SA of an IKE SA by its place, counted from 0. Texts live as long as the status.
tidegate_code tidegate_status_child_sa(const struct tidegate_status *status,
                                       size_t connection,
                                       size_t ike_sa,
                                       size_t child_sa,
                                       struct tidegate_child_sa_status *into,
                                       struct tidegate_error **error);

// All of it as JSON, with more than the structs have: an array of connections. The text is the caller's.
tidegate_code tidegate_status_json(const struct tidegate_status *status,
                                   struct tidegate_buffer *text,
                                   struct tidegate_error **error);

// Gives a status back. NULL is none.
void tidegate_status_free(struct tidegate_status *status);

// Gives a text back and leaves nothing in its place. Done twice, or with NULL, it does nothing.
void tidegate_buffer_free(struct tidegate_buffer *buffer);

// Starts an engine: opens its device and sockets, starts its threads, loads the connections of its configuration.
// `*manager` is to be freed by `tidegate_manager_free`, and NULL if there is none.
//
// The functions and the context in the options must be there until that has returned.
tidegate_code tidegate_manager_new(const struct tidegate_options *options,
                                   struct tidegate_manager **manager,
                                   struct tidegate_error **error);

// Shuts down if that was not done, waits until all threads have ended, and gives the manager back. No other call
// with it may be under way, and its descriptors are closed. In a function that the library has called, it ends
// later, on a thread of its own. NULL is none.
void tidegate_manager_free(struct tidegate_manager *manager);

// Ends all SAs at both ends, which takes two seconds at most, gives back routes and sockets, and stops. Calls fail
// with TIDEGATE_CODE_STOPPED after that, but for those that take events.
tidegate_code tidegate_manager_shutdown(const struct tidegate_manager *manager,
                                        struct tidegate_error **error);

// Writes to `*running` whether the engine runs: 1, or 0 once it has stopped.
tidegate_code tidegate_manager_is_running(const struct tidegate_manager *manager,
                                          int32_t *running,
                                          struct tidegate_error **error);

// Adds connections and pools: a text with [[connection]] and [[pool]] as in tidegate.toml. What a connection leaves
// out is as [node] has it in the configuration that the manager was made with. One of a name that there is already
// is replaced: its SAs end, and new ones are set up as its children want it.
tidegate_code tidegate_manager_load(const struct tidegate_manager *manager,
                                    struct tidegate_text text,
                                    struct tidegate_error **error);

// Makes connections and pools those of a whole tidegate.toml, peers and communities included. Only what differs
// from the one before is touched, and what `tidegate_manager_load` has added stays. With a mistake in the text
// nothing is done.
tidegate_code tidegate_manager_apply(const struct tidegate_manager *manager,
                                     struct tidegate_text config,
                                     struct tidegate_error **error);

// Takes a connection away, and its SAs at both ends.
tidegate_code tidegate_manager_unload(const struct tidegate_manager *manager,
                                      struct tidegate_text connection,
                                      struct tidegate_error **error);

// Takes a pool away. Addresses that were given out of it stay with their peers.
tidegate_code tidegate_manager_unload_pool(const struct tidegate_manager *manager,
                                           struct tidegate_text pool,
                                           struct tidegate_error **error);

// Does what `action` (TIDEGATE_ACTION) says, and waits until it is done or has failed, but for no more than so many
// milliseconds; 0 for as long as it takes. What is not done then goes on. `*count`, unless that is NULL, becomes
// the number of SAs that were taken down, given new keys or replaced.
tidegate_code tidegate_manager_run(const struct tidegate_manager *manager,
                                   uint32_t action,
                                   const struct tidegate_target *target,
                                   uint32_t milliseconds,
                                   size_t *count,
                                   struct tidegate_error **error);

// Begins what `action` (TIDEGATE_ACTION) says and does not wait. An event of kind TIDEGATE_EVENT_KIND_DONE with this
// number comes when it is done or has failed.
tidegate_code tidegate_manager_begin(const struct tidegate_manager *manager,
                                     uint32_t action,
                                     const struct tidegate_target *target,
                                     uint64_t *number,
                                     struct tidegate_error **error);

// Writes to `*active` whether a connection is up: 1, or 0.
tidegate_code tidegate_manager_is_active(const struct tidegate_manager *manager,
                                         struct tidegate_text connection,
                                         int32_t *active,
                                         struct tidegate_error **error);

// All connections and their SAs as they are now. `*status` is to be freed by `tidegate_status_free`.
tidegate_code tidegate_manager_status(const struct tidegate_manager *manager,
                                      struct tidegate_status **status,
                                      struct tidegate_error **error);

// What was carried and what was dropped. Set `counters->size` before.
tidegate_code tidegate_manager_counters(const struct tidegate_manager *manager,
                                        struct tidegate_counters *counters,
                                        struct tidegate_error **error);

// The same by reason and with more, as JSON. The text is the caller's.
tidegate_code tidegate_manager_counters_json(const struct tidegate_manager *manager,
                                             struct tidegate_buffer *text,
                                             struct tidegate_error **error);

// The ports that the engine is reached at: that of IKE alone, and that of IKE and ESP together.
tidegate_code tidegate_manager_ports(const struct tidegate_manager *manager,
                                     uint16_t *ike_port,
                                     uint16_t *nat_port,
                                     struct tidegate_error **error);

// A descriptor that is readable (POLLIN) while there are events, and always once the engine has stopped. Do nothing
// with it but wait for it; it belongs to the manager. Not where `on_event` takes them.
tidegate_code tidegate_manager_event_fd(const struct tidegate_manager *manager,
                                        int32_t *fd,
                                        struct tidegate_error **error);

// The next event, to be freed by `tidegate_event_free`; `*event` is NULL if there is none just now. It never waits.
tidegate_code tidegate_manager_next_event(const struct tidegate_manager *manager,
                                          struct tidegate_event **event,
                                          struct tidegate_error **error);

// Gives an IP packet to the tunnels, if the device is TIDEGATE_DEVICE_CALLS. It is copied, and this never waits:
// TIDEGATE_CODE_BUSY says that there was no room, and the packet is dropped.
tidegate_code tidegate_manager_send_packet(const struct tidegate_manager *manager,
                                           struct tidegate_bytes packet,
                                           struct tidegate_error **error);

// A descriptor that is readable (POLLIN) while packets have come out of tunnels, if the device is
// TIDEGATE_DEVICE_CALLS without `on_packet`. Do nothing with it but wait for it; it belongs to the manager.
tidegate_code tidegate_manager_packet_fd(const struct tidegate_manager *manager,
                                         int32_t *fd,
                                         struct tidegate_error **error);

// The next packet that has come out of a tunnel, into room for `*length` bytes; `*length` becomes how long it is,
// 0 if there is none just now. It never waits. If there is not room enough, `*length` says how much it takes, the
// call fails with TIDEGATE_CODE_ARGUMENT, and the packet stays.
tidegate_code tidegate_manager_next_packet(const struct tidegate_manager *manager,
                                           uint8_t *packet,
                                           size_t *length,
                                           struct tidegate_error **error);

// How many connections there are.
size_t tidegate_status_connections(const struct tidegate_status *status);

// A connection by its place, counted from 0; they are in the order of their names. Texts live as long as the
// status.
tidegate_code tidegate_status_connection(const struct tidegate_status *status,
                                         size_t connection,
                                         struct tidegate_connection_status *into,
                                         struct tidegate_error **error);

// An IKE SA of a connection by its place, counted from 0, the newest last. Texts live as long as the status.
tidegate_code tidegate_status_ike_sa(const struct tidegate_status *status,
                                     size_t connection,
                                     size_t ike_sa,
                                     struct tidegate_ike_sa_status *into,
                                     struct tidegate_error **error);

// A child SA of an IKE SA by its place, counted from 0. Texts live as long as the status.
tidegate_code tidegate_status_child_sa(const struct tidegate_status *status,
                                       size_t connection,
                                       size_t ike_sa,
                                       size_t child_sa,
                                       struct tidegate_child_sa_status *into,
                                       struct tidegate_error **error);

// All of it as JSON, with more than the structs have: an array of connections. The text is the caller's.
tidegate_code tidegate_status_json(const struct tidegate_status *status,
                                   struct tidegate_buffer *text,
                                   struct tidegate_error **error);

// Gives a status back. NULL is none.
void tidegate_status_free(struct tidegate_status *status);

// Gives a text back and leaves nothing in its place. Done twice, or with NULL, it does nothing.
void tidegate_buffer_free(struct tidegate_buffer *buffer);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

// Makes a struct that begins with its size ready to be filled in: TIDEGATE_INIT(&options).
#define TIDEGATE_INIT(pointer) \
  (memset((pointer), 0, sizeof *(pointer)), (void)((pointer)->size = sizeof *(pointer)))

// A string with a zero behind it as a text. It has to be there for as long as the text is used.
static inline struct tidegate_text tidegate_text_of(const char *string) {
  struct tidegate_text text;
  text.data = string;
  text.length = string == NULL ? 0 : strlen(string);
  return text;
}
