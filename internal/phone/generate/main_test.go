package main

import (
	"os"
	"testing"
)

// What is in the program is what libphonenumber knows, in the version that go.mod names.
func TestCurrent(t *testing.T) {
	t.Parallel()
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../metadata.tsv")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("metadata.tsv differs from libphonenumber's: run go generate ./internal/phone")
	}
}
