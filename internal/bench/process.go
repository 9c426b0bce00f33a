package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Linux reports CPU time to programs in hundredths of a second, whatever the
// kernel itself counts in.
const clockTick = 10 * time.Millisecond

// Memory is the part of a process that is in main memory, in bytes.
type Memory struct {
	Resident int64 `json:"resident_bytes"`
	// Peak is the largest Resident so far, kept by the kernel: nothing can slip
	// between two readings.
	Peak int64 `json:"peak_bytes"`
}

// MemoryOf reads the memory of a process. It fails where there is no /proc
// (not Linux) and for a process that has ended.
func MemoryOf(pid int) (Memory, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return Memory{}, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	var m Memory
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		var into *int64
		switch name {
		case "VmRSS":
			into = &m.Resident
		case "VmHWM":
			into = &m.Peak
		default:
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("memory of process %d: %s: %w", pid, name, err)
		}
		*into = kilobytes * 1024
	}
	if m.Resident == 0 {
		// So it is with a process that has ended but was not waited for.
		return Memory{}, fmt.Errorf("memory of process %d: it has none", pid)
	}
	return m, nil
}

// CPUOf reads the CPU time that a process has used, in user space and in the
// kernel, to a hundredth of a second. It fails as MemoryOf does.
func CPUOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("cpu time of process %d: %w", pid, err)
	}
	// The second field is the program's name in brackets. It may hold blanks and
	// brackets itself, so the count starts after the last one.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const user, system = 14 - 3, 15 - 3 // numbered as in proc(5); fields[0] is its third
	if len(fields) <= system {
		return 0, fmt.Errorf("cpu time of process %d: only %d fields", pid, len(fields))
	}
	var ticks int64
	for _, field := range fields[user : system+1] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("cpu time of process %d: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// FilesOf counts the open files of a process. It fails as MemoryOf does.
func FilesOf(pid int) (int, error) {
	all, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		return 0, fmt.Errorf("open files of process %d: %w", pid, err)
	}
	return len(all), nil
}
