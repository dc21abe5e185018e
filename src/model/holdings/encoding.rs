//! [`Holdings`] as bytes, for the cache: numbers in LEB128, addresses as the distance from the end of
//! the extent before, so most extents take five bytes. Whatever the bytes are, reading them ends in
//! something whole or in None.

use std::collections::HashSet;

use super::{Extent, Held, Holders, Holdings, Subvolume};

/// Of the file systems btrfs makes the smallest sector; all addresses and lengths are multiples.
const SECTOR: u64 = 4096;

impl Holdings {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.extents.len() * 6 + 4096);
        put(&mut out, self.subvolumes.len() as u64);
        for subvolume in &self.subvolumes {
            put(&mut out, subvolume.is_some().into());
            if let Some(Subvolume { id, uuid, generation, inline }) = subvolume {
                out.extend_from_slice(uuid);
                [id, generation, inline].into_iter().for_each(|number| put(&mut out, *number));
            }
        }
        put(&mut out, self.sets.len() as u64);
        for Holders(words) in &self.sets {
            put(&mut out, words.len() as u64);
            words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        }
        put(&mut out, self.extents.len() as u64);
        let mut end = 0;
        for Held { extent, set } in &self.extents {
            put_sectors(&mut out, extent.at.wrapping_sub(end));
            put_sectors(&mut out, extent.length);
            put(&mut out, (*set).into());
            end = extent.at.wrapping_add(extent.length);
        }
        out
    }

    /// None when these are not the bytes of some holdings.
    pub fn from_bytes(bytes: &[u8]) -> Option<Holdings> {
        let mut rest = Rest(bytes);
        let mut holdings = Holdings::default();
        for _ in 0..rest.count()? {
            holdings.subvolumes.push(rest.subvolume()?);
        }
        let ids: HashSet<u64> = holdings.subvolumes().map(|subvolume| subvolume.id).collect();
        let places = holdings.subvolumes.iter().enumerate();
        let all = places.filter(|(_, s)| s.is_some()).fold(Holders::default(), |all, (p, _)| all.with(p));
        for _ in 0..rest.count()? {
            let words = (0..rest.count()?).map(|_| rest.array().map(u64::from_le_bytes));
            let set = Holders(words.collect::<Option<_>>()?);
            if set.0.last().is_none_or(|word| *word == 0) || !set.is_within(&all) {
                return None;
            }
            holdings.sets.push(set);
        }
        let (mut end, mut last) = (0u64, None);
        for _ in 0..rest.count()? {
            let at = end.wrapping_add(rest.sectors()?);
            let extent = Extent { at, length: rest.sectors()? };
            let set =
                u32::try_from(rest.number()?).ok().filter(|set| (*set as usize) < holdings.sets.len())?;
            if last.replace(at).is_some_and(|last| at <= last) {
                return None;
            }
            holdings.extents.push(Held { extent, set });
            end = at.wrapping_add(extent.length);
        }
        let different: HashSet<&Holders> = holdings.sets.iter().collect();
        let whole = different.len() == holdings.sets.len() && ids.len() == holdings.subvolumes().count();
        (whole && rest.0.is_empty()).then_some(holdings)
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A multiple of the sector as sectors; anything else as it is: the lowest bit tells them apart.
fn put_sectors(out: &mut Vec<u8>, number: u64) {
    if number % SECTOR == 0 {
        put(out, number / SECTOR * 2);
    } else {
        put(out, 1);
        put(out, number);
    }
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for (index, byte) in self.0.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Some(number);
            }
        }
        None
    }

    /// How many things follow: each takes a byte at least, so a broken number asks for no memory.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    fn sectors(&mut self) -> Option<u64> {
        match self.number()? {
            1 => self.number(),
            number if number % 2 == 0 => (number / 2).checked_mul(SECTOR),
            _ => None,
        }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    /// Some(None) is a free place.
    fn subvolume(&mut self) -> Option<Option<Subvolume>> {
        match self.number()? {
            0 => Some(None),
            1 => {
                let uuid = self.array()?;
                let (id, generation, inline) = (self.number()?, self.number()?, self.number()?);
                Some(Some(Subvolume { id, uuid, generation, inline }))
            }
            _ => None,
        }
    }
}
