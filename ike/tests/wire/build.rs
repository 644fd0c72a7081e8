//! Bytes of payloads, written without the code under test.

/// A payload before it stands in a chain.
#[derive(Clone)]
pub(crate) struct Piece {
    pub(crate) kind: u8,
    pub(crate) critical: bool,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn piece(kind: u8, body: impl Into<Vec<u8>>) -> Piece {
    Piece { kind, critical: false, body: body.into() }
}

pub(crate) fn critical(kind: u8, body: impl Into<Vec<u8>>) -> Piece {
    Piece { kind, critical: true, body: body.into() }
}

/// Type of the first payload, and the payloads.
pub(crate) fn chain(pieces: &[Piece]) -> (u8, Vec<u8>) {
    let mut bytes = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let next = pieces.get(index + 1).map_or(0, |piece| piece.kind);
        let length = u16::try_from(piece.body.len() + 4).unwrap();
        bytes.extend([next, if piece.critical { 0x80 } else { 0 }]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(&piece.body);
    }
    (pieces.first().map_or(0, |piece| piece.kind), bytes)
}

/// A notification that concerns no SA.
pub(crate) fn notify(kind: u16, data: &[u8]) -> Piece {
    notify_spi(0, &[], kind, data)
}

pub(crate) fn notify_spi(protocol: u8, spi: &[u8], kind: u16, data: &[u8]) -> Piece {
    let mut body = vec![protocol, u8::try_from(spi.len()).unwrap()];
    body.extend(kind.to_be_bytes());
    body.extend(spi);
    body.extend(data);
    piece(N, body)
}

/// One proposal with one transform, `ENCR_AES_GCM_16` with 256 bits.
pub(crate) fn sa(protocol: u8, spi: &[u8]) -> Piece {
    let length = u8::try_from(8 + spi.len() + 12).unwrap();
    let mut body = vec![0, 0, 0, length, 1, protocol, u8::try_from(spi.len()).unwrap(), 1];
    body.extend(spi);
    body.extend([0, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 1, 0]);
    piece(SA, body)
}

pub(crate) fn ke() -> Piece {
    piece(KE, [&[0, 31, 0, 0][..], &[7; 32]].concat())
}

pub(crate) fn nonce() -> Piece {
    piece(NONCE, [9; 32])
}

/// A TS payload with one selector: all of 10.0.0.0/8.
pub(crate) fn ts(kind: u8) -> Piece {
    piece(kind, [1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255, 10, 0, 0, 0, 10, 255, 255, 255])
}

pub(crate) fn id(kind: u8) -> Piece {
    piece(kind, b"\x02\0\0\0edge.example")
}

pub(crate) fn auth() -> Piece {
    piece(AUTH, [&[2, 0, 0, 0][..], &[5; 32]].concat())
}

pub(crate) fn sa_init_request() -> Vec<Piece> {
    vec![sa(1, &[]), ke(), nonce()]
}

pub(crate) fn sa_init_response() -> Vec<Piece> {
    sa_init_request()
}

pub(crate) fn auth_request() -> Vec<Piece> {
    vec![id(IDI), auth(), sa(3, &[0, 0, 1, 0]), ts(TSI), ts(TSR)]
}

pub(crate) fn auth_response() -> Vec<Piece> {
    vec![id(IDR), auth(), sa(3, &[0, 0, 2, 0]), ts(TSI), ts(TSR)]
}

pub(crate) fn create_child() -> Vec<Piece> {
    vec![sa(3, &[0, 0, 3, 0]), nonce(), ts(TSI), ts(TSR)]
}

pub(crate) fn rekey_ike() -> Vec<Piece> {
    vec![sa(1, &[1, 2, 3, 4, 5, 6, 7, 8]), nonce(), ke()]
}

/// `pieces` with one more in front.
pub(crate) fn with(pieces: Vec<Piece>, piece: Piece) -> Vec<Piece> {
    [vec![piece], pieces].concat()
}

/// `pieces` without those of a type.
pub(crate) fn without(mut pieces: Vec<Piece>, kind: u8) -> Vec<Piece> {
    pieces.retain(|piece| piece.kind != kind);
    pieces
}

pub(crate) const SA: u8 = 33;
pub(crate) const KE: u8 = 34;
pub(crate) const IDI: u8 = 35;
pub(crate) const IDR: u8 = 36;
pub(crate) const CERT: u8 = 37;
pub(crate) const CERTREQ: u8 = 38;
pub(crate) const AUTH: u8 = 39;
pub(crate) const NONCE: u8 = 40;
pub(crate) const N: u8 = 41;
pub(crate) const D: u8 = 42;
pub(crate) const V: u8 = 43;
pub(crate) const TSI: u8 = 44;
pub(crate) const TSR: u8 = 45;
pub(crate) const SK: u8 = 46;
pub(crate) const CP: u8 = 47;
pub(crate) const EAP: u8 = 48;
pub(crate) const SKF: u8 = 53;
