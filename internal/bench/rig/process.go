package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"time"

	"onramp/internal/bench"
)

// process is this program once more, as one part of a measurement.
type process struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	in     io.WriteCloser
	out    *json.Decoder
}

// start starts a part with its settings, and reads its first line. The process is
// killed when ctx ends.
func (r *Rig) start(ctx context.Context, part string, settings, first any) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, self, append(slices.Clone(r.Command), part)...)
	cmd.Stderr = r.Stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	err = errors.Join(inErr, outErr)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", part, err)
	}
	p := &process{cmd: cmd, cancel: cancel, in: in, out: json.NewDecoder(out)}
	if err = json.NewEncoder(in).Encode(settings); err == nil {
		err = p.out.Decode(first)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s did not start: %w", part, err)
	}
	return p, nil
}

// stop has the process end by itself, by closing its input, and waits for that.
func (p *process) stop() {
	_ = p.in.Close() // closed already: the same
	_ = p.cmd.Wait() // how it ended no longer matters
	p.cancel()
}

// kill ends the process at once; after its end it does nothing.
func (p *process) kill() {
	p.cancel()
	p.stop()
}

// server is a process that serves until it is stopped.
type server struct {
	*process
	rig   *Rig
	url   string
	admin string        // of a gateway
	ready time.Duration // from its start to its first line
}

func (r *Rig) startServer(ctx context.Context, part string, settings any) (*server, error) {
	begin := time.Now()
	var at addresses
	p, err := r.start(ctx, part, settings, &at)
	if err != nil {
		return nil, err
	}
	return &server{process: p, rig: r, url: at.URL, admin: at.Admin, ready: time.Since(begin)}, nil
}

// counts asks the server what it has counted.
func (s *server) counts() (n counts, err error) {
	if _, err := io.WriteString(s.in, "{}\n"); err != nil {
		return n, fmt.Errorf("ask for counts: %w", err)
	}
	if err := s.out.Decode(&n); err != nil {
		return n, fmt.Errorf("read counts: %w", err)
	}
	return n, nil
}

// usage is what a server has counted and used up so far.
type usage struct {
	counts
	cpu    time.Duration
	memory bench.Memory
}

func (s *server) usage() (u usage, err error) {
	u.counts, err = s.counts()
	u.cpu, u.memory = s.cpu(), s.memory()
	return u, err
}

// cpu is the processor time that the server has used; where there is no /proc it
// is zero, which means not measured.
func (s *server) cpu() time.Duration {
	d, _ := bench.CPUOf(s.cmd.Process.Pid)
	return d
}

// memory is the server's; where there is no /proc it is zero, as with cpu.
func (s *server) memory() bench.Memory {
	m, _ := bench.MemoryOf(s.cmd.Process.Pid)
	return m
}

// measure sends a load to the server once, after a warm-up of a quarter of it.
func (s *server) measure(ctx context.Context, load bench.LoadConfig) (run bench.Run, err error) {
	if load.Addr, err = s.address(); err != nil {
		return run, err
	}
	warmUp := load
	warmUp.Duration /= 4
	if _, err := s.rig.runLoad(ctx, warmUp); err != nil {
		return run, err
	}
	before, err := s.usage()
	if err != nil {
		return run, err
	}
	if run.Result, err = s.rig.runLoad(ctx, load); err != nil {
		return run, err
	}
	after, err := s.usage()
	run.Fsyncs, run.CPU, run.ResidentBytes = after.Fsyncs-before.Fsyncs, after.cpu-before.cpu, after.memory.Peak
	return run, err
}

// address is the server's host:port.
func (s *server) address() (string, error) {
	u, err := url.Parse(s.url)
	if err != nil {
		return "", err
	}
	return u.Host, nil
}

// loader is a load generator that runs.
type loader struct {
	*process
	begun time.Time // when its first request went out
}

// startLoad starts a load, and returns when its first request has gone out. The
// caller must stop it.
func (r *Rig) startLoad(ctx context.Context, load bench.LoadConfig) (*loader, error) {
	var first begun
	p, err := r.start(ctx, partLoad, load, &first)
	if err != nil {
		return nil, err
	}
	return &loader{p, first.At}, nil
}

// result waits for the end of the load.
func (l *loader) result() (result bench.Result, err error) {
	if err := l.out.Decode(&result); err != nil {
		return result, errors.Join(fmt.Errorf("read the load generator's result: %w", err), l.cmd.Wait())
	}
	if err := l.cmd.Wait(); err != nil {
		return result, fmt.Errorf("load generator: %w", err)
	}
	return result, nil
}

// runLoad is a load from its start to its end.
func (r *Rig) runLoad(ctx context.Context, load bench.LoadConfig) (bench.Result, error) {
	l, err := r.startLoad(ctx, load)
	if err != nil {
		return bench.Result{}, err
	}
	defer l.kill()
	return l.result()
}
