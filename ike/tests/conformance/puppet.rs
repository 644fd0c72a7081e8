//! The peer with keys of `evil.rs` in the place of A in a [`Pair`]: here it keeps the rules, but for the one
//! that a test is about.

use crate::evil::{EVIL_SPI, Evil, Knock, Said, offer};
use crate::support::{End, Pair, forged};
use tidegate_esp::Spi;
use tidegate_ike::wire::{
    AuthRequest, AuthResponse, ChildOutcome, ChildRequest, CreateChildRequest, CreateChildResponse, Delete,
    ExchangeType, Header, Informational, MessageId, Notify, NotifyType, PayloadChain, SaInitRequest,
};
use tidegate_ike::{Framing, Transmit};

/// The SPI on which the puppet would receive its first child.
pub(crate) const FIRST_CHILD: u32 = EVIL_SPI;

/// A peer whose first message is out and answered, but which has not said who it is.
pub(crate) struct Stranger {
    pub(crate) puppet: Puppet,
    proof: AuthRequest,
}

/// A peer with an IKE SA, which it has begun.
pub(crate) struct Puppet {
    pub(crate) evil: Evil,
}

impl Stranger {
    /// Sends IKE_SA_INIT in the place of A and takes the answer.
    pub(crate) fn new(pair: &mut Pair) -> Self {
        Self::saying(pair, |_| {})
    }

    /// The same with something changed.
    pub(crate) fn saying(pair: &mut Pair, change: impl FnOnce(&mut SaInitRequest)) -> Self {
        let mut knock = Knock::new(1);
        let mut request = knock.message(None);
        change(&mut request);
        knock.request = knock.datagram(&request);
        pair.deliver(End::B, &forged(End::A, knock.request.clone()));
        let answer = pair.take(End::B);
        let (evil, proof) = knock.accepted(&answer.bytes);
        Self { puppet: Puppet { evil }, proof }
    }

    /// The IKE_AUTH request that proves who it is.
    pub(crate) fn proof(&self) -> AuthRequest {
        self.proof.clone()
    }

    /// Says who it is in these words.
    pub(crate) fn prove(&mut self, pair: &mut Pair, request: &AuthRequest) -> AuthResponse {
        let answer = self.puppet.ask(pair, ExchangeType::IkeAuth, &request.emit());
        AuthResponse::parse(answer.first, &answer.bytes).unwrap()
    }

    /// Says who it is, and is believed.
    pub(crate) fn introduce(mut self, pair: &mut Pair) -> Puppet {
        let request = self.proof();
        let AuthResponse::Accepted(accepted) = self.prove(pair, &request) else { panic!("refused") };
        assert!(matches!(accepted.child, ChildOutcome::Accepted(_)), "{:?}", accepted.child);
        self.puppet
    }
}

impl Puppet {
    /// A puppet in the place of A with an IKE SA and one child, and the engine at B.
    pub(crate) fn with_engine(seed: u64) -> (Pair, Self) {
        Self::with(Pair::psk(seed))
    }

    /// The same for a pair made otherwise.
    pub(crate) fn with(mut pair: Pair) -> (Pair, Self) {
        let mut puppet = Stranger::new(&mut pair).introduce(&mut pair);
        // With its next request it shows that it has the answer to its first.
        puppet.inform(&mut pair, &Informational::default());
        (pair, puppet)
    }

    /// Its next request, which may be sent again.
    pub(crate) fn request(&mut self, exchange: ExchangeType, chain: &PayloadChain) -> Transmit {
        forged(End::A, self.evil.seal(exchange, false, self.evil.next, chain))
    }

    /// Sends the next request and gives the payloads of its answer.
    pub(crate) fn ask(
        &mut self,
        pair: &mut Pair,
        exchange: ExchangeType,
        chain: &PayloadChain,
    ) -> PayloadChain {
        let request = self.request(exchange, chain);
        pair.deliver(End::B, &request);
        let answer = pair.take(End::B);
        let Said { header, first, bytes } = self.open(&answer);
        assert_eq!((header.exchange, header.response), (exchange, true));
        assert_eq!(header.message_id, MessageId(self.evil.next));
        self.evil.next += 1;
        PayloadChain { first, bytes }
    }

    /// Opens what the engine has sealed.
    pub(crate) fn open(&self, transmit: &Transmit) -> Said {
        self.evil.open(message(transmit)).expect("sealed")
    }

    /// An INFORMATIONAL exchange.
    pub(crate) fn inform(&mut self, pair: &mut Pair, request: &Informational) -> Informational {
        let answer = self.ask(pair, ExchangeType::Informational, &request.emit());
        Informational::parse(answer.first, &answer.bytes).unwrap()
    }

    /// A CREATE_CHILD_SA exchange.
    pub(crate) fn create(&mut self, pair: &mut Pair, request: &CreateChildRequest) -> CreateChildResponse {
        let answer = self.ask(pair, ExchangeType::CreateChildSa, &request.emit());
        CreateChildResponse::parse(answer.first, &answer.bytes).unwrap()
    }

    /// Takes the next request of the engine's.
    pub(crate) fn hear(&self, pair: &mut Pair) -> Said {
        let request = pair.take(End::B);
        let said = self.open(&request);
        assert!(!said.header.response, "{said:?}");
        said
    }

    /// Answers a request of the engine's.
    pub(crate) fn answer(&mut self, pair: &mut Pair, request: &Header, chain: &PayloadChain) {
        let bytes = self.evil.seal(request.exchange, true, request.message_id.0, chain);
        pair.deliver(End::B, &forged(End::A, bytes));
    }
}

/// A request for a further child without a key exchange.
pub(crate) fn child_request(spi: u32) -> ChildRequest {
    let mut offer = offer(Spi::new(spi).unwrap());
    offer.proposals.truncate(1);
    ChildRequest { offer, nonce: vec![9; 32], key_exchange: None, rekeys: None, notifies: Vec::new() }
}

/// The IKE message of a datagram, without its marker.
pub(crate) fn message(transmit: &Transmit) -> &[u8] {
    match transmit.path.framing {
        Framing::Bare => &transmit.bytes,
        Framing::Marked => transmit.bytes.strip_prefix(&[0; 4]).expect("the marker"),
    }
}

/// A message that is one notification.
pub(crate) fn notification(kind: NotifyType) -> PayloadChain {
    Informational { notifies: vec![Notify::new(kind)], ..Informational::default() }.emit()
}

/// The children that an INFORMATIONAL message deletes.
pub(crate) fn deleted(first: u8, bytes: &[u8]) -> Vec<Spi> {
    let message = Informational::parse(first, bytes).unwrap();
    let spis = |delete: &Delete| match delete {
        Delete::Esp(spis) => spis.clone(),
        _ => Vec::new(),
    };
    message.deletes.iter().flat_map(spis).collect()
}
