"""How sure a difference is, without a word about how times are distributed: they have long tails, which a mean would follow.

Of pairs (the new and the old program in one round) Hodges and Lehmann's estimate, the median of all Walsh averages, with the exact
interval that belongs to Wilcoxon's signed ranks; of two lists that were not taken in pairs the median of all differences, with the exact
interval of Wilcoxon's rank sum (Mann and Whitney). Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, 3rd ed., 3.2-3.3, 4.2-4.3.
"""
import math, statistics


def signed_rank_counts(n):
    """Of the 2^n signs of the ranks 1 to n, how many give each sum of the positive ones."""
    counts = [1] + [0] * (n * (n + 1) // 2)
    for rank in range(1, n + 1):
        for total in range(len(counts) - 1, rank - 1, -1): counts[total] += counts[total - rank]
    return counts


def rank_sum_counts(m, n):
    """Of the ways to choose which m of m + n ranks are the first list's, how many give each value of U, from 0 to m n."""
    counts = {(0, 0): [1]}
    for i in range(m + 1):
        for j in range(n + 1):
            if i + j == 0: continue
            here = [0] * (i * j + 1)
            # The greatest of all belongs to the first list, above all j of the second; or to the second.
            if i > 0:
                for u, count in enumerate(counts[i - 1, j]): here[u + j] += count
            if j > 0:
                for u, count in enumerate(counts[i, j - 1]): here[u] += count
            counts[i, j] = here
    return counts[m, n]


def first_inside(counts, confidence):
    """The least value whose tail is not beyond the interval's: so many of the sorted numbers lie outside it on either side."""
    bound, tail, total = (1 - confidence) / 2, 0, sum(counts)
    for value, count in enumerate(counts):
        tail += count
        if tail / total > bound: return value
    raise AssertionError("the tails of a distribution come to 1")


def interval(numbers, counts, confidence):
    """(estimate, lower, upper) of the sorted numbers; ValueError where there are too few for the confidence."""
    outside = first_inside(counts, confidence)
    if outside == 0: raise ValueError(f"too few measurements for a confidence of {100 * confidence:g} %")
    return statistics.median(numbers), numbers[outside - 1], numbers[len(numbers) - outside]


def paired(differences, confidence):
    n = len(differences)
    walsh = sorted((differences[i] + differences[j]) / 2 for i in range(n) for j in range(i, n))
    return interval(walsh, signed_rank_counts(n), confidence)


def unpaired(new, old, confidence):
    return interval(sorted(a - b for a in new for b in old), rank_sum_counts(len(new), len(old)), confidence)


def least_rounds(confidence):
    """Pairs that such an interval takes."""
    return math.ceil(math.log2(2 / (1 - confidence)))
