package gate

import "math"

// upperBound is the largest rate at which seeing at most k of n still has
// probability 1-confidence: with that confidence the true rate is not above
// it. It is 1 when nothing was seen.
func upperBound(k, n int, confidence float64) float64 {
	if k >= n {
		return 1
	}
	// P(X <= k) = I_{1-p}(n-k, k+1) falls as p rises.
	return solve(func(p float64) bool { return betaInc(float64(n-k), float64(k+1), 1-p) > 1-confidence })
}

// lowerBound is the smallest rate at which seeing at least k of n has
// probability 1-confidence: with that confidence the true rate is not below it.
func lowerBound(k, n int, confidence float64) float64 {
	if k <= 0 || n <= 0 {
		return 0
	}
	// P(X >= k) = I_p(k, n-k+1) rises with p.
	return solve(func(p float64) bool { return betaInc(float64(k), float64(n-k+1), p) < 1-confidence })
}

// solve finds where a condition that holds at 0 and not at 1 ends.
func solve(holds func(p float64) bool) float64 {
	low, high := 0.0, 1.0
	for range 60 {
		if mid := (low + high) / 2; holds(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}

// betaInc is the regularized incomplete beta function I_x(a, b), by its
// continued fraction (DLMF 8.17.22) on the side where that converges quickly.
func betaInc(a, b, x float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	case x > (a+1)/(a+b+2):
		return 1 - betaInc(b, a, 1-x) // DLMF 8.17.4
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab - la - lb + a*math.Log(x) + b*math.Log1p(-x))
	return front * fraction(a, b, x) / a
}

// fraction is the continued fraction 1/(1+ d1/(1+ d2/(1+ …))) of DLMF 8.17.22,
// evaluated forwards by the ratios of successive convergents (Lentz).
func fraction(a, b, x float64) float64 {
	const tiny = 1e-300
	guard := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	f, c, d := tiny, tiny, 0.0
	for i := range 100_000 {
		term := 1.0
		if i > 0 {
			term = coefficient(i, a, b, x)
		}
		d = 1 / guard(1+term*d)
		c = guard(1 + term/c)
		step := c * d
		f *= step
		if i > 0 && math.Abs(step-1) < 1e-15 {
			break
		}
	}
	return f
}

// coefficient is d_i of DLMF 8.17.23.
func coefficient(i int, a, b, x float64) float64 {
	m := float64(i / 2)
	if i%2 == 0 {
		return m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
	}
	return -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
}
