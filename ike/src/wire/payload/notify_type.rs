//! Notify message types, by the names of the IANA registry.

use std::fmt;

/// A notify message type; its known values are associated constants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotifyType(pub u16);

macro_rules! notify_types {
    ($($name:ident = $value:literal, $section:literal;)*) => {
        impl NotifyType {
            $(
                #[doc = concat!(stringify!($value), ", ", $section, ".")]
                pub const $name: Self = Self($value);
            )*

            /// The name in the IANA registry, for the types that we have heard of.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

notify_types! {
    UNSUPPORTED_CRITICAL_PAYLOAD = 1, "RFC 7296 §2.5";
    INVALID_IKE_SPI = 4, "RFC 7296 §2.21.4";
    INVALID_MAJOR_VERSION = 5, "RFC 7296 §2.5";
    INVALID_SYNTAX = 7, "RFC 7296 §3.10.1";
    INVALID_MESSAGE_ID = 9, "RFC 7296 §2.3";
    INVALID_SPI = 11, "RFC 7296 §1.5";
    NO_PROPOSAL_CHOSEN = 14, "RFC 7296 §2.7";
    INVALID_KE_PAYLOAD = 17, "RFC 7296 §1.3";
    AUTHENTICATION_FAILED = 24, "RFC 7296 §2.21.2";
    SINGLE_PAIR_REQUIRED = 34, "RFC 7296 §2.9";
    NO_ADDITIONAL_SAS = 35, "RFC 7296 §1.3";
    INTERNAL_ADDRESS_FAILURE = 36, "RFC 7296 §3.15.4";
    FAILED_CP_REQUIRED = 37, "RFC 7296 §2.19";
    TS_UNACCEPTABLE = 38, "RFC 7296 §2.9";
    INVALID_SELECTORS = 39, "RFC 7296 §3.10.1";
    UNACCEPTABLE_ADDRESSES = 40, "RFC 4555 §4.1.1";
    UNEXPECTED_NAT_DETECTED = 41, "RFC 4555 §4.1.2";
    TEMPORARY_FAILURE = 43, "RFC 7296 §2.25";
    CHILD_SA_NOT_FOUND = 44, "RFC 7296 §2.25";
    STATE_NOT_FOUND = 47, "RFC 9370";

    INITIAL_CONTACT = 16384, "RFC 7296 §2.4";
    SET_WINDOW_SIZE = 16385, "RFC 7296 §2.3";
    ADDITIONAL_TS_POSSIBLE = 16386, "RFC 7296 §2.9";
    IPCOMP_SUPPORTED = 16387, "RFC 7296 §2.22";
    NAT_DETECTION_SOURCE_IP = 16388, "RFC 7296 §2.23";
    NAT_DETECTION_DESTINATION_IP = 16389, "RFC 7296 §2.23";
    COOKIE = 16390, "RFC 7296 §2.6";
    USE_TRANSPORT_MODE = 16391, "RFC 7296 §1.3.1";
    HTTP_CERT_LOOKUP_SUPPORTED = 16392, "RFC 7296 §3.6";
    REKEY_SA = 16393, "RFC 7296 §1.3.3";
    ESP_TFC_PADDING_NOT_SUPPORTED = 16394, "RFC 7296 §1.3.1";
    NON_FIRST_FRAGMENTS_ALSO = 16395, "RFC 7296 §1.3.1";
    MOBIKE_SUPPORTED = 16396, "RFC 4555 §4.2.1";
    ADDITIONAL_IP4_ADDRESS = 16397, "RFC 4555 §4.2.2";
    ADDITIONAL_IP6_ADDRESS = 16398, "RFC 4555 §4.2.2";
    NO_ADDITIONAL_ADDRESSES = 16399, "RFC 4555 §4.2.3";
    UPDATE_SA_ADDRESSES = 16400, "RFC 4555 §4.2.4";
    COOKIE2 = 16401, "RFC 4555 §4.2.5";
    NO_NATS_ALLOWED = 16402, "RFC 4555 §4.2.6";
    AUTH_LIFETIME = 16403, "RFC 4478 §3";
    MULTIPLE_AUTH_SUPPORTED = 16404, "RFC 4739";
    ANOTHER_AUTH_FOLLOWS = 16405, "RFC 4739";
    REDIRECT_SUPPORTED = 16406, "RFC 5685";
    REDIRECT = 16407, "RFC 5685";
    REDIRECTED_FROM = 16408, "RFC 5685";
    TICKET_LT_OPAQUE = 16409, "RFC 5723";
    TICKET_REQUEST = 16410, "RFC 5723";
    TICKET_ACK = 16411, "RFC 5723";
    TICKET_NACK = 16412, "RFC 5723";
    TICKET_OPAQUE = 16413, "RFC 5723";
    USE_WESP_MODE = 16415, "RFC 5840";
    EAP_ONLY_AUTHENTICATION = 16417, "RFC 5998";
    CHILDLESS_IKEV2_SUPPORTED = 16418, "RFC 6023 §4";
    QUICK_CRASH_DETECTION = 16419, "RFC 6290";
    IKEV2_MESSAGE_ID_SYNC_SUPPORTED = 16420, "RFC 6311";
    IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED = 16421, "RFC 6311";
    IKEV2_MESSAGE_ID_SYNC = 16422, "RFC 6311";
    IPSEC_REPLAY_COUNTER_SYNC = 16423, "RFC 6311";
    ERX_SUPPORTED = 16427, "RFC 6867";
    IKEV2_FRAGMENTATION_SUPPORTED = 16430, "RFC 7383 §2.3";
    SIGNATURE_HASH_ALGORITHMS = 16431, "RFC 7427 §4";
    PUZZLE = 16434, "RFC 8019";
    USE_PPK = 16435, "RFC 8784 §3";
    PPK_IDENTITY = 16436, "RFC 8784 §3";
    NO_PPK_AUTH = 16437, "RFC 8784 §3";
    INTERMEDIATE_EXCHANGE_SUPPORTED = 16438, "RFC 9242 §3.1";
    IP4_ALLOWED = 16439, "RFC 8983";
    IP6_ALLOWED = 16440, "RFC 8983";
    ADDITIONAL_KEY_EXCHANGE = 16441, "RFC 9370 §2.2.4";
}

impl NotifyType {
    /// Status types start at 16384; those below report errors (RFC 7296 §3.10.1).
    pub const fn is_error(self) -> bool {
        self.0 < 16384
    }

    /// An error that concerns only the child of an IKE_AUTH: the IKE SA stands (RFC 7296 §2.21.2). Any other
    /// error, and every one that we do not know, fails the whole exchange (RFC 7296 §3.10.1).
    pub const fn refuses_child(self) -> bool {
        matches!(
            self,
            Self::NO_PROPOSAL_CHOSEN
                | Self::INVALID_KE_PAYLOAD
                | Self::SINGLE_PAIR_REQUIRED
                | Self::NO_ADDITIONAL_SAS
                | Self::INTERNAL_ADDRESS_FAILURE
                | Self::FAILED_CP_REQUIRED
                | Self::TS_UNACCEPTABLE
                | Self::INVALID_SELECTORS
                | Self::TEMPORARY_FAILURE
                | Self::CHILD_SA_NOT_FOUND
        )
    }
}

impl fmt::Display for NotifyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "NOTIFY_{}", self.0),
        }
    }
}

impl fmt::Debug for NotifyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
