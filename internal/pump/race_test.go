//go:build race

package pump_test

const lives = 3 // that TestLife goes through
