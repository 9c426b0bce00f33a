// Package terminal talks to the person at a terminal, if there is one.
package terminal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNone says that nobody can be asked.
var ErrNone = errors.New("there is no terminal")

// Progress shows how much is done, on a terminal only.
func Progress(out io.Writer, what string) func(done float64) {
	if _, is := descriptor(out); !is {
		return func(float64) {}
	}
	shown := -1
	return func(done float64) {
		percent := int(100 * done)
		if percent == shown {
			return
		}
		shown = percent
		fmt.Fprintf(out, "\r%s %d %%", what, percent)
		if percent == 100 {
			fmt.Fprintln(out)
		}
	}
}

// ShowsMarks says whether marks such as ✓ can be written to out: to a terminal that is not
// dumb, in a locale that is UTF-8. getenv reads the environment.
func ShowsMarks(out io.Writer, getenv func(string) string) bool {
	if _, is := descriptor(out); !is || getenv("TERM") == "dumb" {
		return false
	}
	locale := cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG"))
	name := strings.ToLower(strings.ReplaceAll(locale, "-", ""))
	return strings.Contains(name, "utf8") || getenv("WT_SESSION") != "" // of Windows Terminal
}

// Ask reads a secret without showing it; with again it has to be typed twice. Without a
// terminal the error is [ErrNone].
func Ask(in io.Reader, out io.Writer, what string, again bool) (string, error) {
	fd, is := descriptor(in)
	if !is {
		return "", ErrNone
	}
	text, err := ask(fd, out, what+": ")
	if err != nil || !again {
		return text, err
	}
	second, err := ask(fd, out, "Once more: ")
	if err == nil && second != text {
		err = errors.New("the two differ")
	}
	return text, err
}

func ask(fd int, out io.Writer, question string) (string, error) {
	fmt.Fprint(out, question)
	text, err := term.ReadPassword(fd)
	fmt.Fprintln(out)
	return string(text), err
}

// descriptor is that of a terminal.
func descriptor(stream any) (fd int, is bool) {
	file, is := stream.(*os.File)
	if !is {
		return 0, false
	}
	fd = int(file.Fd())
	return fd, term.IsTerminal(fd)
}
