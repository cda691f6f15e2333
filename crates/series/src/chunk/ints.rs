//! Integers of one block: what is regular is taken out, what remains is packed, and the few that do not fit the
//! packing are patched.
//!
//! The numbers are `x[i] = first + factor·y[i]`. What is packed of `y` is it itself, its steps, or the steps of its
//! steps, whichever has the least spread; each less `base`, in `width` bits. Those outside have their excess in a list
//! of patches. All arithmetic wraps, so that any `i64` comes back.

use alloc::vec::Vec;

use super::packing::{BLOCK, bits_of, mask, pack, read_list, unpack, write_list};
use super::reader::{Reader, unzigzag, write_signed, write_varint, zigzag};
use crate::error::ChunkError;

/// How many orders of steps there are: none, once, twice.
const ORDERS: usize = 3;

/// On how many numbers the order is chosen.
const SAMPLES: usize = 32;

/// So many numbers next to each other are looked at together.
const RUN: usize = 8;

/// Set in the byte of the width where patches follow.
const PATCHED: u8 = 0x80;

/// How a block is packed, and how many bits that is about to take.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    order: usize,
    base: i64,
    width: u32,
    patches: usize,
    bits: usize,
}

/// Integers that are encoded: any of 64 bits; or of 32, of which a processor does twice as many at once, where neither
/// steps nor steps of steps nor these less their base overflow.
pub(super) trait Number: Copy + Default + Ord {
    /// The lowest bits.
    fn cut(number: i64) -> Self;
    fn wide(self) -> i64;
    /// Its own bits, and zeros before them.
    fn bits(self) -> u64;
    fn minus(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn over(self, divisor: i64) -> Self;
    fn down(self, shift: u32) -> Self;
    fn double(self) -> f64;
}

impl Number for i64 {
    fn cut(number: i64) -> Self {
        number
    }

    fn wide(self) -> i64 {
        self
    }

    fn bits(self) -> u64 {
        self as u64
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn or(self, other: Self) -> Self {
        self | other
    }

    fn over(self, divisor: i64) -> Self {
        self / divisor
    }

    fn down(self, shift: u32) -> Self {
        self >> shift
    }

    fn double(self) -> f64 {
        self as f64
    }
}

impl Number for i32 {
    fn cut(number: i64) -> Self {
        number as Self
    }

    fn wide(self) -> i64 {
        i64::from(self)
    }

    fn bits(self) -> u64 {
        u64::from(self as u32)
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn or(self, other: Self) -> Self {
        self | other
    }

    fn over(self, divisor: i64) -> Self {
        (i64::from(self) / divisor) as Self
    }

    fn down(self, shift: u32) -> Self {
        self >> shift
    }

    fn double(self) -> f64 {
        f64::from(self)
    }
}

/// Appends the block of 1 to [`BLOCK`] numbers, `origin` added to each, and says of which order it is; `numbers` is used
/// up as scratch.
pub(super) fn encode<N: Number>(numbers: &mut [N], origin: i64, out: &mut Vec<u8>) -> u8 {
    let first = numbers[0];
    let factor = take_out(numbers, first);
    let first = origin.wrapping_add(first.wide());
    let slope = numbers.get(1).map_or(0, |slope| slope.wide());
    let mut steps = [N::default(); BLOCK];
    let steps = &mut steps[..numbers.len()];
    let plan = plan(numbers, steps);
    write_signed(first, out);
    write_varint(factor, out);
    write_signed(plan.base, out);
    if plan.order == 2 {
        write_signed(slope, out);
    }
    let base = N::cut(plan.base);
    for step in steps.iter_mut() {
        *step = step.minus(base);
    }
    for fill in steps.iter_mut().take(plan.order) {
        *fill = N::default();
    }
    write_steps(steps, plan.width, out);
    plan.order as u8
}

/// Leaves `(x − first) / factor` of each `x`, with the largest factor that all have in common.
fn take_out<N: Number>(numbers: &mut [N], first: N) -> u64 {
    let mut seen = N::default();
    for number in numbers.iter_mut() {
        *number = number.minus(first);
        seen = seen.or(*number);
    }
    if seen == N::default() {
        return 1;
    }
    let shift = seen.wide().trailing_zeros();
    if shift > 0 {
        for number in numbers.iter_mut() {
            *number = number.down(shift);
        }
    }
    let odd = odd_factor(numbers);
    if odd > 1 {
        for number in numbers.iter_mut() {
            *number = number.over(odd);
        }
    }
    (odd as u64) << shift
}

/// The largest factor common to all but the powers of two, or 1. Most blocks have none, which a few numbers tell.
fn odd_factor<N: Number>(numbers: &[N]) -> i64 {
    let mut factor = 0;
    let sampled = numbers.iter().step_by(numbers.len().div_ceil(SAMPLES));
    for &number in sampled.chain(numbers) {
        let number = number.wide().unsigned_abs();
        if factor == 0 || number % factor != 0 {
            factor = gcd(factor, number);
        }
        if factor == 1 {
            return 1;
        }
    }
    i64::try_from(factor).unwrap_or(1)
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Chooses the order by a few numbers, and by all of them where those do not decide. Leaves the chosen steps in
/// `steps`, of which the first `order` mean nothing.
fn plan<N: Number>(numbers: &[N], steps: &mut [N]) -> Plan {
    let sampled = sampled(numbers);
    let best = sampled.iter().map(|order| order.bits).min().unwrap_or(0);
    // A quarter of a bit a number is what the samples may well be wrong by. Steps of a higher order are taken only
    // where they are better.
    let worth = |order: usize| {
        let bits = sampled[order].bits;
        let lower = sampled[..order].iter().map(|order| order.bits).min();
        bits <= best + SAMPLES / 4 && lower.is_none_or(|lower| bits < lower)
    };
    let mut plan = None;
    for order in (0..ORDERS).filter(|&order| worth(order)) {
        steps_of(numbers, order, steps);
        let own = fit(steps.get(order..).unwrap_or_default(), &sampled[order]);
        if plan.is_none_or(|plan: Plan| own.bits < plan.bits) {
            plan = Some(Plan { order, ..own });
        }
    }
    let plan = plan.unwrap_or_default();
    if (plan.order + 1..ORDERS).any(worth) {
        steps_of(numbers, plan.order, steps);
    }
    plan
}

/// The steps of this order; the first `order` are none and mean nothing.
fn steps_of<N: Number>(numbers: &[N], order: usize, steps: &mut [N]) {
    let Some(steps) = steps.get_mut(order..) else {
        return;
    };
    match order {
        0 => steps.copy_from_slice(numbers),
        1 => {
            for ((step, &a), &b) in steps.iter_mut().zip(numbers).zip(&numbers[1..]) {
                *step = b.minus(a);
            }
        }
        _ => {
            let before = numbers.iter().zip(&numbers[1..]);
            for ((step, (&a, &b)), &c) in steps.iter_mut().zip(before).zip(&numbers[2..]) {
                *step = c.minus(b).minus(b.minus(a));
            }
        }
    }
}

/// A few steps of one order.
#[derive(Debug, Clone, Copy)]
struct Sampled {
    steps: [i64; SAMPLES],
    median: i64,
    /// How many bits they take around their median.
    bits: usize,
}

/// A few steps of each order; all zero where there are too few numbers.
fn sampled<N: Number>(numbers: &[N]) -> [Sampled; ORDERS] {
    let mut sampled = [[0_i64; SAMPLES]; ORDERS];
    if let Some(last) = numbers.len().checked_sub(ORDERS) {
        let [own, steps, bends] = &mut sampled;
        for (nth, own) in own.iter_mut().enumerate() {
            let at = nth * last / (SAMPLES - 1);
            let [a, b, c] = [numbers[at], numbers[at + 1], numbers[at + 2]].map(N::wide);
            *own = c;
            steps[nth] = c.wrapping_sub(b);
            bends[nth] = steps[nth].wrapping_sub(b.wrapping_sub(a));
        }
    }
    sampled.map(|steps| {
        let median = middle(&steps);
        let length = |&step: &i64| bits_of(zigzag(step.wrapping_sub(median))) as usize;
        Sampled {
            bits: steps.iter().map(length).sum(),
            median,
            steps,
        }
    })
}

/// About the median: the median of three medians of three such, of the first 27. A few comparisons tell it, without a
/// branch.
fn middle(steps: &[i64; SAMPLES]) -> i64 {
    let of_three = |[a, b, c]: [i64; 3]| a.min(b).max(a.max(b).min(c));
    let (threes, _) = steps.as_chunks::<3>();
    let of_nine = |nth: usize| of_three([0, 1, 2].map(|third| of_three(threes[nth * 3 + third])));
    of_three([0, 1, 2].map(of_nine))
}

/// How often each length was seen, by [`slot`]. In two halves, as neighbours often have the same length and the second
/// addition to one number would wait for the first.
type Lengths = [[u16; SLOTS]; 2];

/// As many as take the exponents of all lengths apart.
const SLOTS: usize = 128;

/// Where a number of this zigzag form's length is counted: at its exponent as a double, which is quicker than counting
/// zeros where a processor has no instruction for that. A quarter more tells 0 and −1 apart. A number past 2⁵³ may be
/// rounded up, and is then told a bit longer than it is.
fn slot<N: Number>(number: N) -> usize {
    ((number.double() + 0.25).to_bits() >> 52) as usize % SLOTS
}

/// The slot of the numbers whose zigzag form has this many bits.
const fn slot_of(length: usize) -> usize {
    ((0.25_f64.to_bits() >> 52) as usize + length) % SLOTS
}

/// A base and a width for these steps, by some of them: upwards from the least one, or around the median. Whatever of
/// the others does not fit is patched.
fn fit<N: Number>(steps: &[N], sampled: &Sampled) -> Plan {
    let some = || some_of(steps).flatten().copied();
    let Some(&any) = steps.first() else {
        return Plan::default();
    };
    let (mut seen, mut ends) = (0, (any, any));
    for step in some() {
        ends = (ends.0.min(step), ends.1.max(step));
        seen += 1;
    }
    let (least, most) = (ends.0.wide(), ends.1.wide());
    let median = sampled.median;
    let upwards = |&step: &i64| bits_of(step.wrapping_sub(least) as u64) as usize;
    let spread = most.wrapping_sub(least);
    let is_up = spread >= 0 && sampled.steps.iter().map(upwards).sum::<usize>() <= sampled.bits;
    let plan = if is_up {
        // As nothing of it is negative, its zigzag form is a bit longer than it is.
        narrowest(&lengths(some(), ends.0), seen, 1)
    } else {
        narrowest(&lengths(some(), N::cut(median)), seen, 0)
    };
    let below = if is_up && plan.patches == 0 {
        // What there is room for is left on both sides.
        median
            .wrapping_sub(least)
            .wrapping_add((mask(plan.width) as i64).wrapping_sub(spread) / 2)
    } else if is_up {
        median.wrapping_sub(least)
    } else {
        (mask(plan.width) / 2 + plan.width.min(1) as u64) as i64
    };
    Plan {
        base: median.wrapping_sub(below),
        bits: plan.bits * steps.len() / seen,
        ..plan
    }
}

/// Some of these steps, in runs: all of a few, a quarter of many.
fn some_of<N: Number>(steps: &[N]) -> impl Iterator<Item = &[N]> {
    let apart = if steps.len() > 4 * SAMPLES { 4 } else { 1 };
    steps.chunks(RUN).step_by(apart)
}

/// The lengths of these steps less their base.
fn lengths<N: Number>(steps: impl Iterator<Item = N>, base: N) -> Lengths {
    let mut lengths = [[0; SLOTS]; 2];
    for (nth, step) in steps.enumerate() {
        lengths[nth % 2][slot(step.minus(base))] += 1;
    }
    lengths
}

/// The cheapest width, given how many of `count` numbers have how many bits; `spare` of each is always 0 and not
/// packed.
fn narrowest(lengths: &Lengths, count: usize, spare: usize) -> Plan {
    let counted = |width: usize| {
        let slot = slot_of(width + spare);
        usize::from(lengths[0][slot]) + usize::from(lengths[1][slot])
    };
    // Rounded up, a length may be 65.
    let longest = (1..=65).rfind(|&width| counted(width) > 0);
    let longest = longest.unwrap_or(0).min(64);
    let mut plan = Plan {
        width: longest as u32,
        bits: longest * count,
        ..Plan::default()
    };
    let mut patches = counted(65);
    for width in (0..longest).rev() {
        patches += counted(width + 1);
        // A patch has its distance from the one before, and the excess with its sign; the list has three bytes.
        let distance = (bits_of(count as u64) - bits_of(patches as u64)) as usize + 3;
        let each = distance.min(9) + longest - width + 1;
        let bits = width * count + patches * each + 24 * count / BLOCK;
        if bits < plan.bits {
            (plan.width, plan.bits, plan.patches) = (width as u32, bits, patches);
        }
    }
    plan
}

/// Appends steps less their base.
fn write_steps<N: Number>(steps: &[N], width: u32, out: &mut Vec<u8>) {
    let (mut places, mut count) = ([0_u16; BLOCK], 0);
    if width < u64::BITS {
        for (nth, run) in steps.chunks(RUN).enumerate() {
            let seen = run.iter().fold(N::default(), |seen, &step| seen.or(step));
            if seen.wide() as u64 >> width == 0 {
                continue;
            }
            for (at, &step) in run.iter().enumerate() {
                // Without a branch, as none would be foreseen.
                places[count] = (nth * RUN + at) as u16;
                count += usize::from(step.wide() as u64 >> width != 0);
            }
        }
    }
    let flag = if count > 0 { PATCHED } else { 0 };
    out.push(width as u8 | flag);
    pack(steps, width, out);
    if count > 0 {
        write_patches(steps, width, &places[..count], out);
    }
}

/// Appends what the steps at these places have beyond the width, which is below 64: at that nothing is left to patch.
fn write_patches<N: Number>(steps: &[N], width: u32, places: &[u16], out: &mut Vec<u8>) {
    let mut next = 0;
    let distances = places.iter().map(move |&place| {
        let distance = u64::from(place - next);
        next = place + 1;
        distance
    });
    write_varint(places.len() as u64, out);
    write_list(distances, out);
    let excesses = places
        .iter()
        .map(|&place| zigzag(steps[usize::from(place)].wide() >> width));
    write_list(excesses, out);
}

/// Reads a block of this order into `numbers`, as many as it has room for: 1 to [`BLOCK`].
pub(super) fn decode(
    reader: &mut Reader<'_>,
    order: u8,
    numbers: &mut [u64],
) -> Result<(), ChunkError> {
    let first = reader.signed()? as u64;
    let factor = reader.varint()?;
    let base = (reader.signed()? as u64).wrapping_mul(factor);
    let slope = match order {
        2 => (reader.signed()? as u64).wrapping_mul(factor),
        _ => 0,
    };
    let head = reader.byte()?;
    let width = u32::from(head & !PATCHED);
    if width > u64::BITS {
        return Err(reader.invalid());
    }
    unpack(reader, width, numbers)?;
    if head & PATCHED != 0 {
        patch(reader, width, numbers)?;
    }
    if factor != 1 {
        for number in numbers.iter_mut() {
            *number = number.wrapping_mul(factor);
        }
    }
    add_up(numbers, order, [first, base, slope]);
    Ok(())
}

fn patch(reader: &mut Reader<'_>, width: u32, numbers: &mut [u64]) -> Result<(), ChunkError> {
    let count = reader.varint()?;
    if count > numbers.len() as u64 || width >= u64::BITS {
        return Err(reader.invalid());
    }
    let distances = read_list(reader, count as usize)?;
    let excesses = read_list(reader, count as usize)?;
    let mut rest = numbers.iter_mut();
    for (distance, excess) in distances.zip(excesses) {
        // Past the end on every target, where it is past what a `usize` holds.
        let distance = usize::try_from(distance).unwrap_or(BLOCK);
        let number = rest.nth(distance).ok_or_else(|| reader.invalid())?;
        *number = number.wrapping_add((unzigzag(excess) as u64) << width);
    }
    Ok(())
}

/// Turns steps less their base into what they are the steps of, from `first` on.
fn add_up(numbers: &mut [u64], order: u8, [first, base, slope]: [u64; 3]) {
    match order {
        0 => {
            let base = base.wrapping_add(first);
            for number in numbers.iter_mut() {
                *number = number.wrapping_add(base);
            }
        }
        1 => {
            // The first step only fills its place.
            let mut sum = first.wrapping_sub(base);
            for number in numbers.iter_mut() {
                sum = sum.wrapping_add(number.wrapping_add(base));
                *number = sum;
            }
        }
        _ => {
            // The first two do.
            let mut step = slope.wrapping_sub(base.wrapping_mul(2));
            let mut sum = first.wrapping_add(base).wrapping_sub(slope);
            for number in numbers.iter_mut() {
                step = step.wrapping_add(number.wrapping_add(base));
                sum = sum.wrapping_add(step);
                *number = sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn comes_back(numbers: &[i64]) -> usize {
        let mut bytes = Vec::new();
        let order = encode(&mut numbers.to_vec(), 0, &mut bytes);
        let mut back = alloc::vec![7; numbers.len()];
        let mut reader = Reader::new(&bytes);
        decode(&mut reader, order, &mut back).unwrap();
        assert_eq!(reader.finish(), Ok(()));
        let back: Vec<i64> = back.into_iter().map(|number| number as i64).collect();
        assert_eq!(back, numbers);
        bytes.len()
    }

    #[test]
    fn the_ends_of_the_range_come_back() {
        let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
        for a in ends {
            comes_back(&[a]);
            for b in ends {
                comes_back(&[a, b]);
                let mut numbers = [a; BLOCK];
                numbers[7] = b;
                comes_back(&numbers);
                for (nth, number) in numbers.iter_mut().enumerate() {
                    *number = if nth % 3 == 0 { a } else { b };
                }
                comes_back(&numbers);
            }
        }
    }

    #[test]
    fn a_common_factor_and_a_few_far_ones_cost_little() {
        let mut numbers: Vec<i64> = (0..512_i64).map(|nth| nth * nth % 16 * 12_288).collect();
        assert!(comes_back(&numbers) < 512 * 4 / 8 + 20);
        numbers[100] = 12_288 << 30;
        numbers[400] = -(12_288 << 30);
        assert!(comes_back(&numbers) < 512 * 4 / 8 + 50);
    }

    proptest! {
        #[test]
        fn numbers_of_any_spread_come_back(
            numbers in prop::collection::vec((any::<i64>(), 0_u32..64), 1..=BLOCK),
            common in 0_u32..64,
            rare in any::<bool>(),
        ) {
            let shifted = |&(number, own): &(i64, u32)| number >> if rare && own > 2 { common } else { own };
            comes_back(&numbers.iter().map(shifted).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn numbers_of_four_bytes_are_encoded_as_those_of_eight_are(
            numbers in prop::collection::vec((-(1_i32 << 27)..1 << 27, 0_u32..28, any::<bool>()), 1..=BLOCK),
            (ends, rare) in (any::<bool>(), any::<bool>()),
            origin in any::<i64>(),
        ) {
            let narrow = |&(number, own, sign): &(i32, u32, bool)| match (ends, sign) {
                (true, true) => (1 << 27) - 1,
                (true, false) => -(1 << 27),
                _ => number >> if rare && own > 1 { 24 } else { own },
            };
            let mut narrow: Vec<_> = numbers.iter().map(narrow).collect();
            let mut wide: Vec<_> = narrow.iter().map(|&number| origin.wrapping_add(i64::from(number))).collect();
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            let order = encode(&mut narrow, origin, &mut bytes);
            prop_assert_eq!(order, encode(&mut wide, 0, &mut expected));
            prop_assert_eq!(bytes, expected);
        }
    }
}
