//! The universal scalability law: throughput at `n` threads is
//! `lambda n / (1 + sigma (n - 1) + kappa n (n - 1))`.
//!
//! N. J. Gunther, "Guerrilla Capacity Planning", 2007. `sigma` is contention, what only one can do
//! at a time; `kappa` is coherency, what everybody has to settle with everybody else.
//!
//! Fitted here and not by the crate `usl`: that one wants six points, where a sweep over four
//! numbers of threads has four, and gives no interval.

use serde::Serialize;

/// The law's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usl {
    /// Throughput of one thread, in the unit of the values.
    pub lambda: f64,
    /// Contention.
    pub sigma: f64,
    /// Coherency.
    pub kappa: f64,
}

/// Three parameters, and a point that could contradict them.
pub const FEWEST_POINTS: usize = 4;

impl Usl {
    /// The fit to (threads, throughput) with the least squares of relative errors, none of the
    /// parameters below 0. `None` with fewer than [`FEWEST_POINTS`] numbers of threads, or a value
    /// that isn't positive.
    pub fn fit(points: &[(u32, f64)]) -> Option<Self> {
        let mut numbers: Vec<u32> = points.iter().map(|(threads, _)| *threads).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let positive = |(threads, value): &(u32, f64)| *threads > 0 && *value > 0.0;
        if numbers.len() < FEWEST_POINTS || !points.iter().all(positive) {
            return None;
        }
        // n / x is linear in 1/lambda, sigma/lambda and kappa/lambda; divided by itself, its errors
        // are relative ones.
        let rows: Vec<[f64; 3]> = points
            .iter()
            .map(|&(threads, value)| {
                let n = f64::from(threads);
                let scale = value / n;
                [scale, scale * (n - 1.0), scale * n * (n - 1.0)]
            })
            .collect();
        // Whichever of the last two would be below 0 is 0 in the best fit that is allowed.
        let candidates = [&[0, 1, 2][..], &[0, 1], &[0, 2], &[0]];
        let fits = candidates.iter().filter_map(|columns| {
            let solution = least_squares(&rows, columns)?;
            let allowed = solution[0] > 0.0 && solution.iter().all(|it| *it >= 0.0);
            let errors = rows.iter().map(|row| {
                let fitted: f64 = row.iter().zip(&solution).map(|(a, b)| a * b).sum();
                (fitted - 1.0).powi(2)
            });
            allowed.then(|| (errors.sum::<f64>(), solution))
        });
        let (_, [a, b, c]) = fits.min_by(|one, other| one.0.total_cmp(&other.0))?;
        Some(Self {
            lambda: 1.0 / a,
            sigma: b / a,
            kappa: c / a,
        })
    }

    /// The throughput that the law gives at so many threads.
    pub fn throughput(&self, threads: f64) -> f64 {
        let n = threads;
        self.lambda * n / (1.0 + self.sigma * (n - 1.0) + self.kappa * n * (n - 1.0))
    }

    /// The number of threads beyond which more of them do less; infinite if there is none.
    pub fn peak(&self) -> f64 {
        ((1.0 - self.sigma).max(0.0) / self.kappa).sqrt().max(1.0)
    }
}

/// Solves for the right side 1 with some of the columns; the others are 0.
fn least_squares(rows: &[[f64; 3]], columns: &[usize]) -> Option<[f64; 3]> {
    let size = columns.len();
    // The normal equations, their right side in the last column.
    let mut matrix = vec![vec![0.0; size + 1]; size];
    for row in rows {
        for (i, &a) in columns.iter().enumerate() {
            for (j, &b) in columns.iter().enumerate() {
                matrix[i][j] += row[a] * row[b];
            }
            matrix[i][size] += row[a];
        }
    }
    for pivot in 0..size {
        let largest = (pivot..size).max_by(|&one, &other| {
            matrix[one][pivot]
                .abs()
                .total_cmp(&matrix[other][pivot].abs())
        })?;
        matrix.swap(pivot, largest);
        let scale = matrix[pivot][pivot];
        // Columns that can't be told apart.
        if scale.abs() < 1e-12 {
            return None;
        }
        let pivot_row = matrix[pivot].clone();
        for (number, row) in matrix.iter_mut().enumerate() {
            if number != pivot {
                let factor = row[pivot] / scale;
                for (cell, above) in row.iter_mut().zip(&pivot_row) {
                    *cell -= factor * above;
                }
            }
        }
    }
    let mut solution = [0.0; 3];
    for (index, &column) in columns.iter().enumerate() {
        solution[column] = matrix[index][size] / matrix[index][index];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(law: Usl, threads: &[u32]) -> Vec<(u32, f64)> {
        let point = |&n: &u32| (n, law.throughput(f64::from(n)));
        threads.iter().map(point).collect()
    }

    fn is_close(one: f64, other: f64) -> bool {
        (one - other).abs() <= 1e-6 * other.abs().max(1e-3)
    }

    #[test]
    fn what_follows_the_law_gives_its_parameters_back() {
        for (sigma, kappa) in [(0.05, 0.0008), (0.0, 0.002), (0.3, 0.0), (0.0, 0.0)] {
            let law = Usl {
                lambda: 24.6,
                sigma,
                kappa,
            };
            let fit = Usl::fit(&points(law, &[1, 2, 3, 4, 8, 16])).unwrap();
            assert!(is_close(fit.lambda, law.lambda), "{fit:?}");
            assert!(
                is_close(fit.sigma, sigma) && is_close(fit.kappa, kappa),
                "{fit:?}"
            );
        }
    }

    #[test]
    fn more_than_linear_scaling_is_no_negative_contention() {
        let better: Vec<_> = (1..=8).map(|n| (n, f64::from(n).powf(1.1))).collect();
        let fit = Usl::fit(&better).unwrap();
        assert!(
            fit.sigma == 0.0 && fit.kappa == 0.0 && fit.lambda > 1.0,
            "{fit:?}"
        );
    }

    #[test]
    fn errors_are_relative_so_that_few_threads_count_as_much_as_many() {
        let law = Usl {
            lambda: 10.0,
            sigma: 0.02,
            kappa: 0.0,
        };
        let mut seen = points(law, &[1, 2, 4, 8, 16, 32]);
        for (number, (_, value)) in seen.iter_mut().enumerate() {
            *value *= if number % 2 == 0 { 1.01 } else { 0.99 };
        }
        let fit = Usl::fit(&seen).unwrap();
        for (threads, value) in seen {
            let fitted = fit.throughput(f64::from(threads));
            assert!(
                (fitted / value - 1.0).abs() < 0.02,
                "{threads}: {fitted}, {value}"
            );
        }
    }

    #[test]
    fn the_peak_is_where_more_threads_do_less() {
        let law = Usl {
            lambda: 1.0,
            sigma: 0.1,
            kappa: 0.001,
        };
        let peak = law.peak();
        assert!((peak - 30.0).abs() < 1e-9);
        assert!(law.throughput(peak) > law.throughput(peak - 1.0));
        assert!(law.throughput(peak) > law.throughput(peak + 1.0));
        assert_eq!(Usl { kappa: 0.0, ..law }.peak(), f64::INFINITY);
    }

    #[test]
    fn too_few_numbers_of_threads_or_no_throughput_give_no_fit() {
        assert_eq!(Usl::fit(&[(1, 1.0), (2, 2.0), (3, 3.0), (3, 3.1)]), None);
        assert_eq!(Usl::fit(&[(1, 1.0), (2, 2.0), (3, 3.0), (4, 0.0)]), None);
    }
}
