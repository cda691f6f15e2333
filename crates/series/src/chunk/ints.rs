//! Integers of one block: what is regular is taken out, what remains is packed, and the few that do not fit the
//! packing are patched.
//!
//! The numbers are `x[i] = first + factor·y[i]`. What is packed of `y` is it itself, its steps, or the steps of its
//! steps, whichever has the least spread; each less `base`, in `width` bits. Those outside have their excess in a list
//! of patches. All arithmetic wraps, so that any `i64` comes back.

use alloc::vec::Vec;

use super::packing::{BLOCK, bits_of, pack, unpack};
use super::reader::{Reader, unzigzag, write_signed, write_varint, zigzag};
use crate::error::ChunkError;

/// How often steps are taken before packing.
const ORDERS: usize = 3;

/// On how many numbers the order is chosen.
const SAMPLES: usize = 32;

/// Set in the byte of the width where patches follow.
const PATCHED: u8 = 0x80;

/// How a block is packed, and how many bits that is about to take.
#[derive(Debug, Clone, Copy)]
struct Plan {
    order: usize,
    base: i64,
    width: u32,
    patches: usize,
    bits: u32,
}

/// Appends the block, of 1 to [`BLOCK`] numbers, and says in which order; `numbers` is used up as scratch.
pub(super) fn encode(numbers: &mut [i64], out: &mut Vec<u8>) -> u8 {
    let first = numbers[0];
    let factor = take_out(numbers, first);
    let plan = plan(numbers);
    write_signed(first, out);
    write_varint(factor, out);
    write_signed(plan.base, out);
    if plan.order == 2 {
        write_signed(numbers.get(1).copied().unwrap_or(0), out);
    }
    let mut steps = [0; BLOCK];
    let steps = &mut steps[..numbers.len()];
    steps_of(numbers, plan.order, steps);
    for fill in steps.iter_mut().take(plan.order) {
        *fill = plan.base;
    }
    write_steps(steps, plan, out);
    plan.order as u8
}

/// Leaves `(x − first) / factor` of each `x`, with the largest factor that all have in common.
fn take_out(numbers: &mut [i64], first: i64) -> u64 {
    let mut seen = 0;
    for number in numbers.iter_mut() {
        *number = number.wrapping_sub(first);
        seen |= *number;
    }
    if seen == 0 {
        return 1;
    }
    let shift = seen.trailing_zeros();
    if shift > 0 {
        for number in numbers.iter_mut() {
            *number >>= shift;
        }
    }
    let odd = odd_factor(numbers);
    if odd > 1 {
        for number in numbers.iter_mut() {
            *number /= odd;
        }
    }
    (odd as u64) << shift
}

/// The largest factor common to all but the powers of two, or 1. Most blocks have none, which a few numbers tell.
fn odd_factor(numbers: &[i64]) -> i64 {
    let mut factor = 0;
    for &number in numbers.iter().step_by(numbers.len().div_ceil(SAMPLES)) {
        factor = gcd(factor, number.unsigned_abs());
        if factor == 1 {
            return 1;
        }
    }
    for &number in numbers {
        if factor == 0 || number.unsigned_abs() % factor != 0 {
            factor = gcd(factor, number.unsigned_abs());
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

/// The steps of this order; the first `order` are no steps and stay as they come.
fn steps_of(numbers: &[i64], order: usize, steps: &mut [i64]) {
    steps.copy_from_slice(numbers);
    for _ in 0..order {
        for i in (1..steps.len()).rev() {
            steps[i] = steps[i].wrapping_sub(steps[i - 1]);
        }
    }
}

/// Chooses the order by a few numbers, and by all of them where those do not decide.
fn plan(numbers: &[i64]) -> Plan {
    let scores = scores(numbers);
    let best = scores.into_iter().min().unwrap_or(0);
    let mut steps = [0; BLOCK];
    let steps = &mut steps[..numbers.len()];
    let mut plan: Option<Plan> = None;
    for (order, score) in scores.into_iter().enumerate() {
        // Half a bit a number is what the samples may be wrong by.
        if score <= best + SAMPLES as u32 / 2 {
            steps_of(numbers, order, steps);
            let own = fit(&steps[order.min(numbers.len())..], order);
            plan = plan.filter(|plan| plan.bits <= own.bits).or(Some(own));
        }
    }
    plan.unwrap_or_else(|| fit(numbers, 0))
}

/// For each order how many bits the sampled steps take, told from their median.
fn scores(numbers: &[i64]) -> [u32; ORDERS] {
    let mut sampled = [[0_i64; SAMPLES]; ORDERS];
    let Some(last) = numbers.len().checked_sub(ORDERS) else {
        return [0; ORDERS];
    };
    let [own, steps, bends] = &mut sampled;
    for (nth, own) in own.iter_mut().enumerate() {
        let at = nth * last / (SAMPLES - 1);
        let [a, b, c] = [numbers[at], numbers[at + 1], numbers[at + 2]];
        *own = c;
        steps[nth] = c.wrapping_sub(b);
        bends[nth] = steps[nth].wrapping_sub(b.wrapping_sub(a));
    }
    sampled.map(|mut steps| {
        let (_, median, _) = steps.select_nth_unstable(SAMPLES / 2);
        let median = *median;
        let spread = |&step: &i64| bits_of(zigzag(step.wrapping_sub(median)));
        steps.iter().map(spread).sum()
    })
}

/// The cheapest base and width for these steps: upwards from the least one, or around the middle.
fn fit(steps: &[i64], order: usize) -> Plan {
    let mut plan = Plan {
        order,
        base: 0,
        width: 0,
        patches: 0,
        bits: 0,
    };
    let Some(&least) = steps.iter().min() else {
        return plan;
    };
    plan.base = least;
    let mut upwards = [0_u32; 65];
    for step in steps {
        upwards[bits_of(step.wrapping_sub(least) as u64) as usize] += 1;
    }
    narrowest(&upwards, steps.len(), &mut plan);
    if plan.bits == 0 {
        return plan;
    }
    let middle = middle(steps);
    let mut around = [0_u32; 65];
    for step in steps {
        around[bits_of(zigzag(step.wrapping_sub(middle))) as usize] += 1;
    }
    let mut centred = plan;
    narrowest(&around, steps.len(), &mut centred);
    if centred.bits < plan.bits {
        let half = if centred.width == 0 {
            0
        } else {
            1_i64 << (centred.width - 1)
        };
        centred.base = middle.wrapping_sub(half);
        return centred;
    }
    plan
}

/// The median of a few.
fn middle(steps: &[i64]) -> i64 {
    let mut sampled = [0; SAMPLES];
    for (nth, sample) in sampled.iter_mut().enumerate() {
        *sample = steps[nth * (steps.len() - 1) / (SAMPLES - 1)];
    }
    *sampled.select_nth_unstable(SAMPLES / 2).1
}

/// The cheapest width, given how many steps have how many bits.
fn narrowest(lengths: &[u32; 65], count: usize, plan: &mut Plan) {
    let longest = lengths.iter().rposition(|&count| count > 0).unwrap_or(0);
    plan.width = longest as u32;
    plan.bits = (longest * count) as u32;
    plan.patches = 0;
    let mut patches = 0;
    for width in (0..longest).rev() {
        patches += lengths[width + 1] as usize;
        // A patch has its distance from the one before, and the excess with its sign; the list has three bytes.
        let distance = bits_of((count / patches) as u64) as usize + 2;
        let each = distance.min(9) + longest - width + 1;
        let bits = (width * count + patches * each + 24) as u32;
        if bits < plan.bits {
            (plan.width, plan.bits, plan.patches) = (width as u32, bits, patches);
        }
    }
}

fn write_steps(steps: &[i64], plan: Plan, out: &mut Vec<u8>) {
    let width = plan.width;
    let mut packed = [0; BLOCK];
    let packed = &mut packed[..steps.len()];
    let mask = if width == 0 {
        0
    } else {
        u64::MAX >> (64 - width)
    };
    for (packed, step) in packed.iter_mut().zip(steps) {
        *packed = step.wrapping_sub(plan.base) as u64 & mask;
    }
    let flag = if plan.patches > 0 { PATCHED } else { 0 };
    out.push(width as u8 | flag);
    pack(packed, width, out);
    if plan.patches > 0 {
        write_patches(steps, plan, out);
    }
}

fn write_patches(steps: &[i64], plan: Plan, out: &mut Vec<u8>) {
    let (mut distances, mut excesses) = ([0; BLOCK], [0; BLOCK]);
    let (mut count, mut next) = (0, 0);
    for (at, step) in steps.iter().enumerate() {
        // Fewer than 64 bits: at 64 nothing is left to patch.
        let excess = step.wrapping_sub(plan.base) >> plan.width;
        if excess != 0 {
            distances[count] = (at - next) as u64;
            excesses[count] = zigzag(excess);
            (count, next) = (count + 1, at + 1);
        }
    }
    let widest = |numbers: &[u64]| numbers.iter().map(|&number| bits_of(number)).max();
    let near = widest(&distances[..count]).unwrap_or(0);
    let high = widest(&excesses[..count]).unwrap_or(0);
    write_varint(count as u64, out);
    out.push(near as u8);
    out.push(high as u8);
    pack(&distances[..count], near, out);
    pack(&excesses[..count], high, out);
}

/// Reads a block of this order into `numbers`, as many as it has room for: 1 to [`BLOCK`].
pub(super) fn decode(
    reader: &mut Reader<'_>,
    order: u8,
    numbers: &mut [u64],
) -> Result<(), ChunkError> {
    let first = reader.signed()? as u64;
    let factor = reader.varint()?;
    let base = reader.signed()? as u64;
    let slope = if order == 2 {
        reader.signed()? as u64
    } else {
        0
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
    add_up(numbers, order, base, slope);
    if factor != 1 {
        for number in numbers.iter_mut() {
            *number = number.wrapping_mul(factor);
        }
    }
    for number in numbers.iter_mut() {
        *number = number.wrapping_add(first);
    }
    Ok(())
}

fn patch(reader: &mut Reader<'_>, width: u32, numbers: &mut [u64]) -> Result<(), ChunkError> {
    let count = reader.varint()?;
    if count > numbers.len() as u64 || width >= u64::BITS {
        return Err(reader.invalid());
    }
    let count = count as usize;
    let (near, high) = (u32::from(reader.byte()?), u32::from(reader.byte()?));
    if near > u64::BITS || high > u64::BITS {
        return Err(reader.invalid());
    }
    let (mut distances, mut excesses) = ([0; BLOCK], [0; BLOCK]);
    unpack(reader, near, &mut distances[..count])?;
    unpack(reader, high, &mut excesses[..count])?;
    let mut next = 0_u64;
    for (distance, excess) in distances.iter().zip(excesses).take(count) {
        let at = next.saturating_add(*distance);
        let Some(number) = numbers.get_mut(at.min(BLOCK as u64) as usize) else {
            return Err(reader.invalid());
        };
        *number = number.wrapping_add((unzigzag(excess) as u64) << width);
        next = at + 1;
    }
    Ok(())
}

/// Turns packed steps into what they are the steps of.
fn add_up(numbers: &mut [u64], order: u8, base: u64, slope: u64) {
    match order {
        0 => {
            for number in numbers.iter_mut() {
                *number = number.wrapping_add(base);
            }
        }
        1 => {
            // The first step only fills its place.
            let mut sum = base.wrapping_neg();
            for number in numbers.iter_mut() {
                sum = sum.wrapping_add(number.wrapping_add(base));
                *number = sum;
            }
        }
        _ => {
            // The first two do.
            let mut step = slope.wrapping_sub(base.wrapping_mul(2));
            let mut sum = base.wrapping_sub(slope);
            for number in numbers.iter_mut() {
                step = step.wrapping_add(number.wrapping_add(base));
                sum = sum.wrapping_add(step);
                *number = sum;
            }
        }
    }
}
