// Package palette reads colours and sees to it that they can be told apart, by the
// contrast that WCAG 2.2 measures.
package palette

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Readable is the least contrast of a text with what is behind it (WCAG 1.4.3).
const Readable = 4.5

// Color is a colour as red, green and blue.
type Color [3]uint8

// Parse reads #rgb or #rrggbb.
func Parse(s string) (c Color, ok bool) {
	digits, ok := strings.CutPrefix(s, "#")
	if ok && len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	n, err := strconv.ParseUint(digits, 16, 24)
	if !ok || len(digits) != 6 || err != nil {
		return c, false
	}
	return Color{uint8(n >> 16), uint8(n >> 8), uint8(n)}, true
}

// String gives the colour as #rrggbb.
func (c Color) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

// luminance is the relative one (WCAG 2.2, "relative luminance").
func (c Color) luminance() float64 {
	var linear [3]float64
	for i, v := range c {
		if s := float64(v) / 255; s <= 0.04045 {
			linear[i] = s / 12.92
		} else {
			linear[i] = math.Pow((s+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}

// Contrast is that of two colours, from 1 to 21.
func Contrast(a, b Color) float64 {
	light, dark := a.luminance(), b.luminance()
	if light < dark {
		light, dark = dark, light
	}
	return (light + 0.05) / (dark + 0.05)
}

var black, white = Color{}, Color{255, 255, 255}

// On gives black or white: what can be read better on a colour.
func On(c Color) Color {
	if Contrast(c, black) > Contrast(c, white) {
		return black
	}
	return white
}

// Visible gives the colour itself, or as much lighter or darker as it takes to be
// readable on a background.
func (c Color) Visible(background Color) Color {
	toward, out := On(background), c
	for step := 1; step <= 20 && Contrast(out, background) < Readable; step++ {
		out = c.mixed(toward, float64(step)/20)
	}
	return out
}

func (c Color) mixed(other Color, share float64) Color {
	var out Color
	for i := range c {
		out[i] = uint8(math.Round(float64(c[i])*(1-share) + float64(other[i])*share))
	}
	return out
}
