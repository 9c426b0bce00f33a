// Package crash is a test: it breaks what a gateway depends on, in every way that
// its guarantees cover, and counts what became of each registration that was
// answered. It has no code but its tests.
//
// TestCrashMatrix prints the table. A run takes a minute or two; ONRAMP_TEST_CRASH=long makes
// it hundreds of rounds, for which -parallel 8 -timeout 60m is enough, and
// ONRAMP_TEST_CRASH_TABLE names a file that the table is written to, and ONRAMP_TEST_CRASH_REPORT one
// for the same as JSON, of which make figures makes docs/crash-matrix.md. Where FUSE can't
// be mounted, or PostgreSQL is missing, three of its rows are skipped each, unless
// ONRAMP_TEST_REQUIRE names fuse or postgres.
//
// Three instruments do the work: a disk whose power can be cut (disk, which
// Linux mounts by FUSE), a recorder between gateway and Marketing Cloud that
// counts what arrived, and a gateway in a separate process that can be killed.
// TestPowerCutInstrument shows that the disk does lose what was not synced.
package crash
