package palette_test

import (
	"math"
	"testing"

	"onramp/internal/hosted/palette"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"#0b5cab": "#0b5cab", "#0B5CAB": "#0b5cab", "#fd0": "#ffdd00"} {
		if c, ok := palette.Parse(text); !ok || c.String() != want {
			t.Errorf("%s is %s, %v; want %s", text, c, ok, want)
		}
	}
	for _, text := range []string{"", "#", "red", "0b5cab", "#0b5ca", "#0b5cab0", "#ggg", "#+12345", "##12345"} {
		if c, ok := palette.Parse(text); ok {
			t.Errorf("%q is %s, want none", text, c)
		}
	}
}

// The figures are those of the WCAG working group's examples and common checkers.
func TestContrast(t *testing.T) {
	t.Parallel()
	for pair, want := range map[[2]string]float64{
		{"#000", "#fff"}: 21, {"#fff", "#000"}: 21, {"#777", "#fff"}: 4.48, {"#767676", "#fff"}: 4.54, {"#f00", "#fff"}: 4.00, {"#abc", "#abc"}: 1,
	} {
		a, _ := palette.Parse(pair[0])
		b, _ := palette.Parse(pair[1])
		if got := palette.Contrast(a, b); math.Abs(got-want) > 0.005 {
			t.Errorf("%v: %.3f, want %.2f", pair, got, want)
		}
	}
}

// Whatever colour somebody chooses can be read, as text and below text.
func TestVisible(t *testing.T) {
	t.Parallel()
	for _, background := range []palette.Color{{}, {255, 255, 255}, {18, 20, 24}, {250, 240, 200}, {118, 118, 118}} {
		for i := range 4096 {
			c := palette.Color{uint8(i >> 8 * 17), uint8(i >> 4 & 15 * 17), uint8(i & 15 * 17)}
			seen := c.Visible(background)
			if got := palette.Contrast(seen, background); got < palette.Readable {
				t.Fatalf("%s on %s became %s: %.2f", c, background, seen, got)
			}
			if palette.Contrast(c, background) >= palette.Readable && seen != c {
				t.Fatalf("%s on %s was changed to %s", c, background, seen)
			}
			if got := palette.Contrast(c, palette.On(c)); got < palette.Readable {
				t.Fatalf("text on %s is %s: %.2f", c, palette.On(c), got)
			}
		}
	}
}
