package bench_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"runtime"
	"testing"

	"onramp/internal/bench"
)

func TestProcess(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	m, err := bench.MemoryOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// A Go test takes more than one megabyte and less than the machine has.
	if m.Resident < 1<<20 || m.Peak < 1<<20 || m.Resident > 1<<40 {
		t.Errorf("memory %+v", m)
	}
	before, err := bench.CPUOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// Work until the clock is seen to move: however slow the machine, it does.
	for sum := 0.0; ; {
		for i := range 1_000_000 {
			sum += math.Sqrt(float64(i))
		}
		after, err := bench.CPUOf(os.Getpid())
		if err != nil || after < before {
			t.Fatalf("cpu time %v after %v, error %v", after, before, err)
		}
		if after > before && sum > 0 {
			return
		}
	}
}

func TestProcessMissing(t *testing.T) {
	t.Parallel()
	const nobody = math.MaxInt32 // Linux numbers processes up to 4 million
	if _, err := bench.MemoryOf(nobody); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("memory: error %v, want that there is none", err)
	}
	if _, err := bench.CPUOf(nobody); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("cpu time: error %v, want that there is none", err)
	}
}
