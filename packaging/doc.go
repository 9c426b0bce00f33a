// Package packaging tests what packages are made of: the unit for systemd, the image, the compose
// file, the Helm chart. Begin with generate, which writes the rest. What packages do on a machine,
// test/packages tries.
package packaging
