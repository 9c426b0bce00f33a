// Package machine tells what a program runs on, so that figures can name the machine that
// they were measured on, and bug reports that of the gateway. Begin with Look.
package machine

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what a program runs on. What the system does not tell is empty or 0.
type Machine struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Kernel     string `json:"kernel"`      // its version, in digits
	Processor  string `json:"processor"`   // its model
	Cores      int    `json:"cores"`       // that this process may use
	Memory     int64  `json:"memory"`      // in bytes, of the whole machine
	Limit      int64  `json:"limit"`       // of memory, in bytes, by the control group; 0: none
	FileSystem string `json:"file_system"` // of the folder
	Go         string `json:"go"`
}

// Look tells of this machine, and of the file system of a folder. It reads /proc and /sys, which
// only Linux has.
func Look(folder string) Machine {
	return Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: kernel(), Processor: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Memory: kilobytes(field("/proc/meminfo", "MemTotal")), Limit: limit(), FileSystem: fileSystem(folder), Go: runtime.Version(),
	}
}

var leading = regexp.MustCompile(`^[0-9.]+`)

// kernel leaves out what a distribution or an owner has added.
func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease") // without it, it is unknown
	return leading.FindString(string(text))
}

// field reads the first line "name: value" of a file.
func field(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func kilobytes(text string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(text, " kB"), 10, 64)
	return n * 1024
}

// limit is the memory that the process's control group may use.
func limit() int64 {
	text, _ := os.ReadFile("/sys/fs/cgroup/memory.max")
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is none
	return n
}

// fileSystem finds the mount with the longest path that the folder is in.
func fileSystem(folder string) string {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return ""
	}
	text, _ := os.ReadFile("/proc/self/mounts")
	longest, kind := 0, ""
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		at := strings.TrimSuffix(f[1], "/") + "/"
		if strings.HasPrefix(folder+"/", at) && len(at) >= longest {
			longest, kind = len(at), f[2]
		}
	}
	return kind
}
