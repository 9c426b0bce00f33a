package app

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"onramp/internal/alert"
	"onramp/internal/bundle"
	"onramp/internal/check"
	"onramp/internal/config"
	"onramp/internal/machine"
	"onramp/internal/operator"
	"onramp/internal/postgres"
	"onramp/internal/store"
	"onramp/internal/store/snapshot"
	"onramp/internal/web"
)

// inspectWithin is how long the tables of a database are counted, and how long its pages are
// checked, beside a gateway that goes on.
const inspectWithin = 10 * time.Second

// bundleSources are what a debug bundle of a running gateway has beside the status.
func (a *App) bundleSources(r *running) func(operator.BundleRequest) []bundle.Source {
	return func(request operator.BundleRequest) []bundle.Source {
		sources := bundleOf(r.cfg, CheckOptions{}, request.Offline, a.options.Version)
		if a.options.Recent != nil {
			sources = append(sources, bundle.Source{
				Name: "log.jsonl", What: "the newest lines of the log: 200 of level info, 200 of warning and error",
				Read: func(context.Context) (any, error) { return a.options.Recent.Lines(), nil },
			})
		}
		for _, name := range []string{"goroutine", "heap"} {
			sources = append(sources, bundle.Source{
				Name: name + ".pb.gz", What: "profile of the gateway, for go tool pprof",
				Read: func(context.Context) (any, error) { return takeProfile(name) },
			})
		}
		return append(sources, bundle.Source{
			Name: "metrics.txt", What: "what /metrics shows",
			Read: func(context.Context) (any, error) { return a.readMetrics() },
		})
	}
}

// CollectBundle makes the files of a debug bundle where no gateway runs: from the
// configuration and the database, which are only read.
func CollectBundle(ctx context.Context, path string, environ []string, offline bool, version string) ([]bundle.File, error) {
	cfg, err := config.Load(path, environ)
	if err != nil {
		whole := func(what string) []bundle.Source {
			return []bundle.Source{programSource(version), platformSource(""), {
				Name: "configuration.json", What: what,
				Read: func(context.Context) (any, error) { return map[string]any{"mistakes": err}, nil },
			}}
		}
		return bundle.Collect(ctx, whole("why the configuration can't be read"))
	}
	return bundle.Collect(ctx, bundleOf(cfg, CheckOptions{File: path}, offline, version))
}

// bundleOf are the sources that need no gateway.
func bundleOf(cfg *config.Config, o CheckOptions, offline bool, version string) []bundle.Source {
	folder := "."
	if !postgres.IsURL(cfg.Database) {
		folder = filepath.Dir(cfg.Database)
	}
	return []bundle.Source{
		programSource(version), platformSource(folder),
		{
			Name: "configuration.json", What: "the configuration, with the defaults filled in",
			Read: func(context.Context) (any, error) { return cfg, nil },
		},
		{
			Name: "database.json", What: "counts by table, version, pragmas, and whether the pages fit together", Limit: 3 * inspectWithin,
			Read: func(ctx context.Context) (any, error) { return inspect(ctx, cfg.Database) },
		},
		{
			Name: "check.json", What: "what onramp check finds", Limit: time.Minute,
			Read: func(ctx context.Context) (any, error) { return Check(ctx, cfg, o, bundleChecks(offline)...) },
		},
	}
}

// bundleChecks are those that ask neither this gateway nor, offline, anything beyond this
// machine and its database.
func bundleChecks(offline bool) []string {
	if offline {
		return []string{check.Files, check.Disk, check.Database, check.EncryptionKey, check.Backup}
	}
	return slices.DeleteFunc(check.Names(), func(name string) bool { return name == check.Gateway })
}

// versionNumber leaves out what a distribution has added.
var versionNumber = regexp.MustCompile(`^[0-9.]+`)

// inspect tells of the database without reading what is in it.
func inspect(ctx context.Context, database string) (any, error) {
	if postgres.IsURL(database) {
		found, err := postgres.Inspect(ctx, database)
		return struct {
			Server bundle.Plain `json:"server_version"`
			postgres.Inspection
		}{bundle.Plain(versionNumber.FindString(found.Server)), found}, err
	}
	found, err := snapshot.Inspect(ctx, database, inspectWithin)
	return struct {
		Supported int
		snapshot.Inspection
	}{store.NewestVersion(), found}, err
}

// program is what this program was built of. All of it is public.
type program struct {
	Version, Go bundle.Plain
	Build       map[bundle.Plain]bundle.Plain
	Modules     []bundle.Plain
}

func programSource(version string) bundle.Source {
	return bundle.Source{Name: "program.json", What: "version, build and modules", Read: func(context.Context) (any, error) {
		p := program{Version: bundle.Plain(version), Go: bundle.Plain(runtime.Version()), Build: map[bundle.Plain]bundle.Plain{}}
		info, ok := debug.ReadBuildInfo()
		if !ok {
			return p, nil
		}
		public := []string{"vcs.revision", "vcs.time", "vcs.modified", "GOOS", "GOARCH", "CGO_ENABLED", "-trimpath", "-race"}
		for _, s := range info.Settings {
			if slices.Contains(public, s.Key) { // others may name folders
				p.Build[bundle.Plain(s.Key)] = bundle.Plain(s.Value)
			}
		}
		for _, m := range info.Deps {
			p.Modules = append(p.Modules, bundle.Plain(m.Path+" "+m.Version))
		}
		return p, nil
	}}
}

// platform is what the program runs on, and what it uses of that.
type platform struct {
	OS, Arch, Kernel, Processor, FileSystem bundle.Plain

	Cores, MaxProcs, Goroutines  int
	MemoryBytes, MemoryLimit     int64  // of the machine, and by the control group
	HeapBytes, SystemBytes       uint64 // of this process
	OpenFiles, OpenFilesLimit    int
	DiskFreeBytes, DiskSizeBytes uint64
}

func platformSource(folder string) bundle.Source {
	return bundle.Source{Name: "platform.json", What: "system, memory, open files, disk", Read: func(context.Context) (any, error) {
		m := machine.Look(folder)
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		p := platform{
			OS: bundle.Plain(m.OS), Arch: bundle.Plain(m.Arch), Kernel: bundle.Plain(m.Kernel), Processor: bundle.Plain(m.Processor),
			FileSystem: bundle.Plain(m.FileSystem), Cores: m.Cores, MaxProcs: runtime.GOMAXPROCS(0), Goroutines: runtime.NumGoroutine(),
			MemoryBytes: m.Memory, MemoryLimit: m.Limit, HeapBytes: memory.HeapAlloc, SystemBytes: memory.Sys, OpenFilesLimit: web.OpenFiles(),
		}
		if open, err := os.ReadDir("/proc/self/fd"); err == nil { // elsewhere, they can't be counted
			p.OpenFiles = len(open)
		}
		var err error
		if folder != "" {
			p.DiskFreeBytes, p.DiskSizeBytes, err = alert.FreeSpace(folder)
		}
		return p, err
	}}
}

func (a *App) readMetrics() (any, error) {
	var text bytes.Buffer
	err := a.metrics.Write(&text)
	return bundle.Metrics(text.Bytes()), err
}
