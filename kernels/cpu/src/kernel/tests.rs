//! Every set against its portable twin, over random shapes.

use proptest::prelude::*;

use super::{
    COLUMNS, Kernel, MAX_BYTE_ROWS, MAX_PANELS, Panels, Rows, SPLIT_STRIDE, Sum, portable::Portable,
};
use crate::{
    dispatch::{Cpu, Level, dispatch},
    math::{Finish, Units},
    pack::{PairRow, QUADS, QuadRow, Row},
};

fn sets() -> Vec<Cpu> {
    Level::ALL.into_iter().filter_map(Cpu::with).collect()
}

fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as i32 as f32 / 2_147_483_648.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Every i16 there is, the extremes often.
fn whole(count: usize, seed: u32) -> Vec<i16> {
    let extreme = |v: f32| match (v * 8.0) as i32 {
        7 => i16::MAX,
        -7 => i16::MIN,
        _ => (v * 40_000.0) as i16,
    };
    values(count, seed).into_iter().map(extreme).collect()
}

fn product_f32<K: Kernel>(kernel: K, shape: [usize; 3], slack: usize, seed: u32) -> Vec<f32> {
    let [rows, panels, depth] = shape;
    let (a_stride, b_stride) = (depth + slack, depth + 2 * slack);
    let a = values(rows * a_stride, seed);
    let b: Vec<Row> = values(panels * b_stride * COLUMNS, seed + 2)
        .as_chunks()
        .0
        .iter()
        .map(|row| Row(*row))
        .collect();
    let stride = panels * COLUMNS + slack;
    let mut output = vec![7.0; rows * stride];
    for (row, rows) in crate::linear::steps(rows, K::ROWS) {
        for (panel, panels) in crate::linear::steps(panels, K::PANELS) {
            let a = Rows {
                values: &a[row * a_stride..],
                stride: a_stride,
                count: rows,
            };
            let b = Panels {
                rows: &b[panel * b_stride..],
                stride: b_stride,
                count: panels,
                depth,
            };
            kernel.product_f32(a, b, &mut output[row * stride + panel * COLUMNS..], stride);
        }
    }
    output
}

fn product_i16<K: Kernel>(kernel: K, shape: [usize; 3], slack: usize, seed: u32) -> Vec<i32> {
    let [rows, panels, depth] = shape;
    let (a_stride, b_stride) = (depth + slack, depth + 2 * slack);
    let a = whole(2 * rows * a_stride, seed);
    let a = a.as_chunks().0;
    let b: Vec<PairRow> = whole(2 * panels * b_stride * COLUMNS, seed + 2)
        .as_chunks()
        .0
        .as_chunks()
        .0
        .iter()
        .map(|row| PairRow(*row))
        .collect();
    let stride = panels * COLUMNS + slack;
    let mut output = vec![7; rows * stride];
    for (row, rows) in crate::linear::steps(rows, K::ROWS) {
        for (panel, panels) in crate::linear::steps(panels, K::PANELS) {
            let a = Rows {
                values: &a[row * a_stride..],
                stride: a_stride,
                count: rows,
            };
            let b = Panels {
                rows: &b[panel * b_stride..],
                stride: b_stride,
                count: panels,
                depth,
            };
            kernel.product_i16(a, b, &mut output[row * stride + panel * COLUMNS..], stride);
        }
    }
    output
}

/// Some bytes, the extremes often.
fn quads(count: usize, seed: u32) -> Vec<[u8; 4]> {
    let bytes: Vec<u8> = whole(4 * count, seed)
        .iter()
        .map(|number| number.to_be_bytes()[usize::from(number & 2 == 0)])
        .collect();
    bytes.as_chunks().0.to_vec()
}

fn quad_rows(count: usize, seed: u32) -> Vec<QuadRow> {
    let quads = quads(count * COLUMNS, seed);
    quads
        .as_chunks()
        .0
        .iter()
        .map(|row| QuadRow(*row))
        .collect()
}

/// Sums of bytes, as the layers' loops ask for them: rows filled up to the set's unit,
/// depth to whole tiles.
fn product_i8<K: Kernel>(kernel: K, shape: [usize; 3], seed: u32) -> Vec<i32> {
    let [rows, panels, tiles] = shape;
    let depth = tiles * QUADS;
    let tile = K::BYTES;
    let a = quads(rows.next_multiple_of(tile.unit) * depth, seed);
    let b = quad_rows(panels * depth, seed + 2);
    let session = kernel.session();
    let stride = panels * COLUMNS;
    let mut output = vec![0; rows * stride];
    for (row, rows) in crate::linear::steps(rows, tile.rows) {
        for (panel, panels) in crate::linear::steps(panels, tile.panels) {
            let a = Rows {
                values: &a[row * depth..],
                stride: depth,
                count: rows,
            };
            let b = Panels {
                rows: &b[panel * depth..],
                stride: depth,
                count: panels,
                depth,
            };
            let mut sums = vec![0; MAX_BYTE_ROWS * MAX_PANELS * COLUMNS];
            let tile_stride = tile.panels * COLUMNS;
            kernel.product_i8(&session, a, b, &mut sums, tile_stride);
            for i in 0..rows {
                let columns = panels * COLUMNS;
                output[(row + i) * stride + panel * COLUMNS..][..columns]
                    .copy_from_slice(&sums[i * tile_stride..][..columns]);
            }
        }
    }
    output
}

/// Sums of split numbers, two slices of the depth after each other.
fn product_split<K: Kernel>(
    kernel: K,
    rows: usize,
    tiles: usize,
    cold: bool,
    seed: u32,
) -> Vec<i32> {
    let depth = tiles * QUADS;
    let held = rows.next_multiple_of(K::SPLIT.unit) * depth;
    let session = kernel.session();
    let mut sums = vec![7; MAX_BYTE_ROWS * MAX_PANELS * COLUMNS];
    for (add, seed) in [(false, seed), (true, seed + 6)] {
        let planes = [quads(held, seed), quads(held, seed + 2)];
        let a = planes.each_ref().map(|values| Rows {
            values,
            stride: depth,
            count: rows,
        });
        let rows = &quad_rows(2 * depth, seed + 4);
        let b = Panels {
            rows,
            stride: 2 * depth,
            count: 1,
            depth: 2 * depth,
        };
        kernel.product_split(&session, a, b, &mut sums, Sum { add, cold });
    }
    sums.truncate(rows * SPLIT_STRIDE);
    sums
}

fn close(found: &[f32], expected: &[f32], tolerance: f32) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        prop_assert!(
            (found - expected).abs() <= tolerance * expected.abs().max(1.0),
            "{}: {} is not {}",
            index,
            found,
            expected
        );
    }
    Ok(())
}

proptest! {
    /// The sums differ by the order of rounding only: depth * 2^-23 bounds it.
    #[test]
    fn products_of_f32_agree_with_the_twin(
        rows in 1usize..=13, panels in 1usize..=3, depth in 0usize..70,
        slack in 0usize..3, seed in 1u32..1_000_000,
    ) {
        let shape = [rows, panels, depth];
        let expected = product_f32(Portable, shape, slack, seed);
        for cpu in sets() {
            let found = dispatch!(cpu, kernel => product_f32(kernel, shape, slack, seed));
            close(&found, &expected, (depth as f32 + 1.0) * f32::EPSILON)?;
        }
    }

    #[test]
    fn products_of_i16_are_the_twins_to_the_bit(
        rows in 1usize..=13, panels in 1usize..=3, depth in 0usize..70,
        slack in 0usize..3, seed in 1u32..1_000_000,
    ) {
        let shape = [rows, panels, depth];
        let expected = product_i16(Portable, shape, slack, seed);
        for cpu in sets() {
            let found = dispatch!(cpu, kernel => product_i16(kernel, shape, slack, seed));
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn products_of_bytes_are_the_twins_to_the_bit(
        rows in 1usize..=40, panels in 1usize..=3, tiles in 1usize..4, seed in 1u32..1_000_000,
    ) {
        // The rows beyond the last, which a set may read, are of random numbers too.
        let shape = [rows, panels, tiles];
        let expected = product_i8(Portable, shape, seed);
        for cpu in sets() {
            let found = dispatch!(cpu, kernel => product_i8(kernel, shape, seed));
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn products_of_split_numbers_are_the_twins_to_the_bit(
        rows in 1usize..=32, tiles in 1usize..4, cold: bool, seed in 1u32..1_000_000,
    ) {
        let expected = product_split(Portable, rows, tiles, cold, seed);
        for cpu in sets() {
            let found = dispatch!(cpu, kernel => product_split(kernel, rows, tiles, cold, seed));
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn finished_tiles_agree_with_the_twin(
        rows in 1usize..=10, columns in 1usize..=32, add: bool, gelu: bool, shifted: bool,
        seed in 1u32..1_000_000,
    ) {
        let (tile, bias) = (values(rows * 32, seed), values(columns, seed + 2));
        let units = values(rows.max(columns), seed + 4);
        let zeros: Vec<i32> = units.iter().map(|v| (v * 255.0) as i32).collect();
        let sums: Vec<i32> = tile.iter().map(|v| (v * 1e4) as i32).collect();
        let before = values(rows * (columns + 1), seed + 6);
        #[derive(Clone, Copy, PartialEq)]
        enum Sums { Real, Whole, Split }
        let run = |cpu: Cpu, kind: Sums| {
            let mut output = before.clone();
            let columns = if kind == Sums::Split { columns.min(COLUMNS) } else { columns };
            let finish = Finish {
                rows, stride: 32, bias: &bias[..columns], output: &mut output,
                output_stride: columns + 1, add, gelu,
            };
            let shifted = shifted && kind == Sums::Whole;
            let some = |count| if shifted { &zeros[..count] } else { &[] };
            let units = Units {
                rows: &units[..rows],
                columns: &units[..columns],
                zeros: some(rows),
                sums: some(columns),
            };
            dispatch!(cpu, kernel => match kind {
                Sums::Real => kernel.finish_f32(&tile, finish),
                Sums::Whole => kernel.finish_i32(&sums, units, finish),
                Sums::Split => kernel.finish_split(&sums, units, finish),
            });
            output
        };
        for kind in [Sums::Real, Sums::Whole, Sums::Split] {
            let twin = Cpu::with(Level::Portable);
            let expected = twin.map(|twin| run(twin, kind)).unwrap_or_default();
            for cpu in sets() {
                close(&run(cpu, kind), &expected, 1e-6)?;
            }
        }
    }

    #[test]
    fn work_on_rows_agrees_with_the_twin(count in 1usize..100, seed in 1u32..1_000_000) {
        let row: Vec<f32> = values(count, seed).iter().map(|v| v * 10.0).collect();
        let other = values(count, seed + 2);
        let twin = Portable;
        for cpu in sets() {
            dispatch!(cpu, kernel => {
                prop_assert_eq!(kernel.amax(&row), twin.amax(&row));

                let (mut found, mut expected) = (row.clone(), row.clone());
                kernel.gelu(&mut found);
                twin.gelu(&mut expected);
                close(&found, &expected, 1e-6)?;

                let (mut found, mut expected) = (row.clone(), row.clone());
                let sums = (kernel.softmax(&mut found), twin.softmax(&mut expected));
                close(&found, &expected, 1e-6)?;
                close(&[sums.0], &[sums.1], 1e-5)?;

                let (mut found, mut expected) = (row.clone(), row.clone());
                kernel.layer_norm(&mut found, &other, &row, 1e-5);
                twin.layer_norm(&mut expected, &other, &row, 1e-5);
                close(&found, &expected, 1e-4)?;

                let (mut found, mut expected) = (row.clone(), row.clone());
                kernel.add(&mut found, &other);
                twin.add(&mut expected, &other);
                prop_assert_eq!(&found, &expected);
                kernel.scaled(&row, 0.3, &mut found);
                twin.scaled(&row, 0.3, &mut expected);
                prop_assert_eq!(&found, &expected);

                let mut found = vec![[9i16; 2]; count.div_ceil(2)];
                let mut expected = found.clone();
                kernel.quantise(&row, 8191.0 / kernel.amax(&row), &mut found);
                twin.quantise(&row, 8191.0 / twin.amax(&row), &mut expected);
                prop_assert_eq!(found, expected);

                let found = kernel.range(&row);
                prop_assert_eq!(found, twin.range(&row));
                prop_assert!(row.iter().all(|v| (found[0]..=found[1]).contains(v)));

                let quads = count.div_ceil(4);
                let inverse = 255.0 / (found[1] - found[0]);
                let zero = (-found[0] * inverse).round() as i32;
                let (mut found, mut expected) = (vec![[9u8; 4]; quads], vec![[9u8; 4]; quads]);
                kernel.quantise_u8(&row, inverse, zero, &mut found);
                twin.quantise_u8(&row, inverse, zero, &mut expected);
                prop_assert_eq!(&found, &expected);

                let (mut high, mut low) = (found.clone(), found.clone());
                let inverse = 32_512.0 / kernel.amax(&row);
                kernel.split(&row, inverse, &mut high, &mut low);
                let mut pairs = vec![[9i16; 2]; 2 * quads];
                twin.quantise(&row, inverse, &mut pairs);
                let bytes = high.as_flattened().iter().zip(low.as_flattened());
                let signed = |byte: &u8| i16::from(byte.cast_signed());
                let whole: Vec<i16> = bytes.map(|(h, l)| 256 * signed(h) + signed(l)).collect();
                prop_assert_eq!(&whole[..], pairs.as_flattened());
            });
        }
    }
}
