//! The steps of a rule, as the packet filter's virtual machine knows them.

use crate::route::netlink::Request;

/// Registers. The first two are neighbours, also as halves and quarters of what the kernel calls registers.
#[derive(Clone, Copy)]
pub(super) enum Register {
    /// 16 bytes.
    First,
    /// The 16 bytes behind.
    Second,
    /// 4 bytes at the start of the first.
    FirstWord,
    /// The 4 bytes behind.
    SecondWord,
}

/// What is known of a packet apart from its bytes.
#[derive(Clone, Copy)]
pub(super) enum Meta {
    InputName = 6,
    Family = 15,
    Protocol = 16,
}

/// Where a packet's bytes are counted from.
#[derive(Clone, Copy)]
pub(super) enum Base {
    Network = 1,
    Transport = 2,
}

#[derive(Clone, Copy)]
pub(super) enum Test {
    Equal = 0,
    Unequal = 1,
}

/// A rule in the making.
pub(super) struct Steps(pub(super) Request);

impl Register {
    fn number(self) -> u32 {
        match self {
            Self::First => 1,
            Self::Second => 2,
            Self::FirstWord => 8,
            Self::SecondWord => 9,
        }
    }
}

impl Steps {
    pub(super) fn meta(self, what: Meta) -> Self {
        self.step("meta", |data| data.with_be32(1, Register::First.number()).with_be32(2, what as u32))
    }

    pub(super) fn payload(self, register: Register, base: Base, offset: u32, length: u32) -> Self {
        self.step("payload", |data| {
            data.with_be32(1, register.number())
                .with_be32(2, base as u32)
                .with_be32(3, offset)
                .with_be32(4, length)
        })
    }

    pub(super) fn mask(self, register: Register, mask: &[u8]) -> Self {
        let nothing = vec![0; mask.len()];
        self.step("bitwise", |data| {
            data.with_be32(1, register.number())
                .with_be32(2, register.number())
                .with_be32(3, mask.len() as u32)
                .with_nested(4, |value| value.with(1, mask))
                .with_nested(5, |value| value.with(1, &nothing))
        })
    }

    /// Goes on only if the first register holds this.
    pub(super) fn compare(self, test: Test, value: &[u8]) -> Self {
        self.step("cmp", |data| {
            data.with_be32(1, Register::First.number())
                .with_be32(2, test as u32)
                .with_nested(3, |inner| inner.with(1, value))
        })
    }

    /// Goes on only if the first register is between these.
    pub(super) fn range(self, first: &[u8], last: &[u8]) -> Self {
        self.step("range", |data| {
            data.with_be32(1, Register::First.number())
                .with_be32(2, Test::Equal as u32)
                .with_nested(3, |inner| inner.with(1, first))
                .with_nested(4, |inner| inner.with(1, last))
        })
    }

    /// Goes on only if the set holds what the registers from the first on do.
    pub(super) fn lookup(self, set: &str) -> Self {
        self.step("lookup", |data| data.with_name(1, set).with_be32(2, Register::First.number()))
    }

    pub(super) fn count(self, counter: &str) -> Self {
        const COUNTER: u32 = 1;
        self.step("objref", |data| data.with_be32(1, COUNTER).with_name(2, counter))
    }

    pub(super) fn accept(self) -> Self {
        self.verdict(1, None)
    }

    pub(super) fn drop(self) -> Self {
        self.verdict(0, None)
    }

    pub(super) fn go_to(self, chain: &str) -> Self {
        self.verdict(-4, Some(chain))
    }

    fn verdict(self, code: i32, chain: Option<&str>) -> Self {
        const VERDICT: u16 = 2;
        self.step("immediate", |data| {
            data.with_be32(1, 0).with_nested(2, |value| {
                value.with_nested(VERDICT, |verdict| {
                    let verdict = verdict.with(1, &code.to_be_bytes());
                    chain.map_or(verdict.clone(), |chain| verdict.with_name(2, chain))
                })
            })
        })
    }

    fn step(self, name: &str, fill: impl FnOnce(Request) -> Request) -> Self {
        const ELEMENT: u16 = 1;
        Self(self.0.with_nested(ELEMENT, |element| element.with_name(1, name).with_nested(2, fill)))
    }
}
