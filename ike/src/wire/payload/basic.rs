//! Payloads that are a few fields and the rest: KE, ID, CERT, CERTREQ, AUTH and Nonce.

use crate::wire::reader::{Fault, Reader};

/// KE payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyExchange {
    /// Key exchange method (group) number.
    pub group: u16,
    /// The sender's public value.
    pub public: Vec<u8>,
}

/// IDi and IDr payloads, as sent: the AUTH computation covers these very bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdPayload {
    /// Identification type number.
    pub kind: u8,
    /// Identification data.
    pub data: Vec<u8>,
}

/// CERT and CERTREQ payloads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificatePayload {
    /// Encoding; 4 is an X.509 certificate for signatures.
    pub encoding: u8,
    /// Data in that encoding.
    pub data: Vec<u8>,
}

/// AUTH payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthPayload {
    /// Authentication method number.
    pub method: u8,
    /// Authentication data.
    pub data: Vec<u8>,
}

impl KeyExchange {
    pub(in crate::wire) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(body);
        let group = reader.u16()?;
        let _reserved = reader.u16()?;
        Ok(Self { group, public: reader.rest().to_vec() })
    }

    pub(in crate::wire) fn write(&self, body: &mut Vec<u8>) {
        body.extend(self.group.to_be_bytes());
        body.extend([0, 0]);
        body.extend(&self.public);
    }
}

impl IdPayload {
    pub(in crate::wire) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let (kind, data) = parse_tagged(body)?;
        Ok(Self { kind, data })
    }

    pub(in crate::wire) fn write(&self, body: &mut Vec<u8>) {
        write_tagged(self.kind, &self.data, body);
    }

    /// The payload without its generic header: what the AUTH computation covers (RFC 7296 §2.15).
    /// The reserved bytes count as the zeros that they must be sent as.
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.write(&mut body);
        body
    }
}

impl CertificatePayload {
    pub(in crate::wire) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(body);
        Ok(Self { encoding: reader.u8()?, data: reader.rest().to_vec() })
    }

    pub(in crate::wire) fn write(&self, body: &mut Vec<u8>) {
        body.push(self.encoding);
        body.extend(&self.data);
    }
}

impl AuthPayload {
    pub(in crate::wire) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let (method, data) = parse_tagged(body)?;
        Ok(Self { method, data })
    }

    pub(in crate::wire) fn write(&self, body: &mut Vec<u8>) {
        write_tagged(self.method, &self.data, body);
    }
}

pub(in crate::wire) fn parse_nonce(body: &[u8]) -> Result<Vec<u8>, Fault> {
    // RFC 7296 §3.9: 16 to 256 bytes.
    match body.len() {
        16..=256 => Ok(body.to_vec()),
        length => Err(Fault::Length(length)),
    }
}

pub(in crate::wire) fn write_nonce(nonce: &[u8], body: &mut Vec<u8>) {
    body.extend(nonce);
}

/// One byte that says how to read the data, and three reserved ones.
fn parse_tagged(body: &[u8]) -> Result<(u8, Vec<u8>), Fault> {
    let mut reader = Reader::new(body);
    let tag = reader.u8()?;
    let _reserved = reader.array::<3>()?;
    Ok((tag, reader.rest().to_vec()))
}

fn write_tagged(tag: u8, data: &[u8], body: &mut Vec<u8>) {
    body.extend([tag, 0, 0, 0]);
    body.extend(data);
}
