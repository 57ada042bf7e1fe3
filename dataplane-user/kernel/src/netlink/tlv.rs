//! Netlink attributes: type, length, value, padded to four octets.
//!
//! Own code rather than typed messages, because routes and nexthop objects must come back as they were, attributes
//! included that no library knows, and because an attribute that cannot be understood must not hide all the others.

/// Bits of the attribute's type that are flags (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
const TYPE_MASK: u16 = 0x3fff;
/// `NLA_F_NESTED`.
const NESTED: u16 = number_u16(libc::NLA_F_NESTED);
/// Octets of an attribute's header.
const HEADER: usize = 4;

/// A number that libc has as a C `int`, as messages have it. Where it does not fit, this does not compile.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was compared before")]
pub(crate) const fn number_u16(number: libc::c_int) -> u16 {
    assert!(number >= 0 && number <= u16::MAX as libc::c_int);
    number as u16
}

/// The same for numbers that messages have in an octet.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was compared before")]
pub(crate) const fn number_u8(number: libc::c_int) -> u8 {
    assert!(number >= 0 && number <= u8::MAX as libc::c_int);
    number as u8
}

/// Rounds up to the alignment of attributes and messages.
pub(crate) const fn align(length: usize) -> usize {
    (length + 3) & !3
}

/// The attributes in a buffer, as (type, value). Stops at the first one that is malformed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Those that follow a fixed header of `header` octets; none if the message is shorter than that.
    pub(crate) fn after(message: &'a [u8], header: usize) -> Self {
        Self(message.get(align(header)..).unwrap_or_default())
    }

    /// Those that an attribute nests.
    pub(crate) const fn nested(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// The value of the last attribute of this type.
    pub(crate) fn find(self, kind: u16) -> Option<&'a [u8]> {
        self.filter(|(found, _)| *found == kind).last().map(|(_, value)| value)
    }

    /// A `u32` in host order.
    pub(crate) fn u32(self, kind: u16) -> Option<u32> {
        self.find(kind).and_then(u32_of)
    }

    /// A NUL-terminated string.
    pub(crate) fn string(self, kind: u16) -> Option<String> {
        self.find(kind).map(string_of)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16::from_ne_bytes([*self.0.first()?, *self.0.get(1)?]));
        let kind = u16::from_ne_bytes([*self.0.get(2)?, *self.0.get(3)?]) & TYPE_MASK;
        let value = self.0.get(HEADER..length)?;
        self.0 = self.0.get(align(length)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// The first four octets as a number in host order.
pub(crate) fn u32_of(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_ne_bytes)
}

/// Text up to the first NUL.
pub(crate) fn string_of(value: &[u8]) -> String {
    let end = value.iter().position(|octet| *octet == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// An IPv4 or IPv6 address, by its length.
pub(crate) fn ip_of(value: &[u8]) -> Option<std::net::IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(Into::into),
        16 => <[u8; 16]>::try_from(value).ok().map(Into::into),
        _ => None,
    }
}

/// The octets of an address.
pub(crate) fn ip_octets(address: std::net::IpAddr) -> Vec<u8> {
    match address {
        std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
        std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Builds a message: a fixed header, then attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Builder(Vec<u8>);

impl Builder {
    /// Starts with a fixed header.
    pub(crate) fn new(header: &[u8]) -> Self {
        let mut message = header.to_vec();
        message.resize(align(message.len()), 0);
        Self(message)
    }

    /// Adds an attribute.
    pub(crate) fn push(mut self, kind: u16, value: &[u8]) -> Self {
        self.append(kind, value);
        self
    }

    /// Adds an attribute if there is a value for it.
    pub(crate) fn push_some(self, kind: u16, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.push(kind, value),
            None => self,
        }
    }

    /// Adds a `u32` in host order.
    pub(crate) fn push_u32(self, kind: u16, value: u32) -> Self {
        self.push(kind, &value.to_ne_bytes())
    }

    /// Adds a NUL-terminated string.
    pub(crate) fn push_str(self, kind: u16, value: &str) -> Self {
        let mut text = value.as_bytes().to_vec();
        text.push(0);
        self.push(kind, &text)
    }

    /// Adds an attribute that nests what `inner` holds.
    pub(crate) fn push_nested(self, kind: u16, inner: &Self) -> Self {
        self.push(kind | NESTED, &inner.0)
    }

    /// Adds an attribute in place.
    pub(crate) fn append(&mut self, kind: u16, value: &[u8]) {
        // Longer values cannot be expressed, and none that the kernel sent or that we make is.
        let length = u16::try_from(HEADER + value.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(&value[..usize::from(length) - HEADER]);
        self.0.resize(align(self.0.len()), 0);
    }

    /// The message.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        let message = Builder::new(&[1, 2, 3, 4, 5])
            .push_u32(4, 7)
            .push_str(3, "eth0")
            .push_nested(18, &Builder::default().push(1, b"veth"))
            .finish();
        let attributes = Attributes::after(&message, 5);
        assert_eq!(attributes.u32(4), Some(7));
        assert_eq!(attributes.string(3).as_deref(), Some("eth0"));
        let nested = Attributes::nested(attributes.find(18).unwrap());
        assert_eq!(nested.collect::<Vec<_>>(), vec![(1, &b"veth"[..])]);
        assert_eq!(attributes.find(99), None);
    }

    #[test]
    fn malformed_attributes_end_the_list() {
        assert_eq!(Attributes::nested(&[3, 0, 1, 0]).next(), None, "shorter than its own header");
        assert_eq!(Attributes::nested(&[9, 0, 1, 0, 5]).next(), None, "longer than the buffer");
        assert_eq!(Attributes::nested(&[8]).next(), None, "less than a header");
        assert_eq!(Attributes::after(&[1, 2], 8).next(), None, "shorter than the fixed header");
    }

    #[test]
    fn an_unpadded_last_attribute_is_read() {
        assert_eq!(Attributes::nested(&[5, 0, 1, 0, 9]).collect::<Vec<_>>(), vec![(1, &[9][..])]);
    }
}
