//! Where it is charon's habits that clients rely on: the same is asked of both daemons, and the answers compared.

mod counters;
mod scripts;
mod secrets;

use crate::harness::{Cases, Needs, Suite};
use crate::support::pair::{Behind, Pair};

/// The cases.
pub(super) fn suite() -> Suite {
    Cases::new("clients/alike", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody))
        .case("scripts_are_told_the_same", scripts::of_children)
        .case("scripts_are_told_the_same_of_leased_addresses", scripts::of_leases)
        .case("counters_begin_anew_at_the_same_words", counters::begin_anew)
        .case("of_several_secrets_the_same_is_taken", secrets::of_callers)
        .case("of_several_secrets_the_same_is_taken_for_whoever_calls", secrets::of_called)
        .suite()
}

const PLAIN: &str = r"
    office {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        local  { auth = psk
                 id = HERE.office }
        remote { auth = psk
                 id = THERE.office }
        children {
            net { local_ts = HERE_PODS
                  remote_ts = THERE_PODS }
        }
    }";
