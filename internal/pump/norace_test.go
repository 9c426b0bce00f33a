//go:build !race

package pump_test

const lives = 10 // that TestLife goes through
