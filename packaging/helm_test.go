package packaging_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"onramp/internal/config"
	"onramp/internal/tooltest"
)

// object is what the tests read of an object of Kubernetes.
type object struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Data map[string]string
	Spec struct {
		Replicas int
		Strategy struct{ Type string }
		Selector map[string]any
		Ports    []map[string]any
		Claims   []any `yaml:"volumeClaimTemplates"`
		Groups   []any
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
	}
}

type pod struct {
	SecurityContext map[string]any `yaml:"securityContext"`
	Containers      []struct {
		Image           string
		Args            []string
		SecurityContext map[string]any   `yaml:"securityContext"`
		VolumeMounts    []map[string]any `yaml:"volumeMounts"`
		Ports           []map[string]any
		LivenessProbe   map[string]any `yaml:"livenessProbe"`
		ReadinessProbe  map[string]any `yaml:"readinessProbe"`
	}
}

// render has helm check the chart with the values of a file, and render it. The result is by
// kind and name.
func render(t *testing.T, values string, more ...string) map[string]object {
	t.Helper()
	helm := tooltest.Program(t, "helm")
	args := append([]string{"helm/onramp", "--values", "helm/onramp/ci/" + values + "-values.yaml"}, more...)
	if out, err := exec.Command(helm, append([]string{"lint", "--strict"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(helm, append([]string{"template", "web"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]object{}
	decoder := yaml.NewDecoder(bytes.NewReader(out))
	for {
		var o object
		if err := decoder.Decode(&o); err != nil {
			break
		}
		if o.Kind != "" {
			all[o.Kind+" "+o.Metadata.Name] = o
		}
	}
	return all
}

func names(objects map[string]object) (all []string) {
	for name := range objects {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// gateway loads the rendered configuration, with files in the place of mounted secrets.
func gateway(t *testing.T, objects map[string]object) *config.Config {
	t.Helper()
	secrets := t.TempDir()
	for name, content := range map[string]string{
		"onramp/client-id": "the-id", "onramp/client-secret": "the-secret", "onramp/admin-token": "0123456789abcdef",
		"onramp/encryption-key": "key", "onramp-database/url": "postgres://onramp@db/onramp",
	} {
		file := filepath.Join(secrets, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return loaded(t, strings.ReplaceAll(objects["ConfigMap web-onramp"].Data["onramp.yaml"], "/run/secrets/", secrets+"/"))
}

func TestChartSQLite(t *testing.T) {
	t.Parallel()
	got := render(t, "sqlite")
	want := []string{
		"ConfigMap web-onramp", "Ingress web-onramp", "PrometheusRule web-onramp", "Service web-onramp", "Service web-onramp-admin",
		"ServiceMonitor web-onramp", "StatefulSet web-onramp",
	}
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Fatalf("-wanted +got:\n%s", diff)
	}
	cfg := gateway(t, got)
	if cfg.Database != "/data/onramp.db" || cfg.Public.Listen != ":8080" || cfg.Admin.Listen != ":8081" ||
		cfg.MarketingCloud.ClientSecret.Reveal() != "the-secret" || cfg.Admin.Token.Reveal() != "0123456789abcdef" {
		t.Errorf("the configuration is %+v", cfg)
	}
	set := got["StatefulSet web-onramp"].Spec
	if set.Replicas != 1 || len(set.Claims) != 1 {
		t.Errorf("%d replicas with %d volumes", set.Replicas, len(set.Claims))
	}
	checkPod(t, set.Template.Spec, "onramp:0.0.0", []string{"/etc/onramp", "/run/secrets/onramp", "/data"})
	if len(got["PrometheusRule web-onramp"].Spec.Groups) == 0 {
		t.Error("no alert rules")
	}
	// what the services and the monitor select is there
	pods := set.Template.Metadata.Labels
	for _, service := range []string{"Service web-onramp", "Service web-onramp-admin"} {
		for label, value := range got[service].Spec.Selector {
			if pods[label] != value {
				t.Errorf("%s selects %s=%s, and the pod has %q", service, label, value, pods[label])
			}
		}
	}
	selected, _ := got["ServiceMonitor web-onramp"].Spec.Selector["matchLabels"].(map[string]any)
	for label, value := range selected {
		admin, public := got["Service web-onramp-admin"].Metadata.Labels[label], got["Service web-onramp"].Metadata.Labels[label]
		if admin != value || label == "onramp/listener" && public == value {
			t.Errorf("the monitor selects %s=%v, the services have %q and %q", label, value, admin, public)
		}
	}
	if len(selected) != 3 {
		t.Errorf("the monitor selects by %v", selected)
	}
}

// checkPod compares what keeps the process from doing harm.
func checkPod(t *testing.T, p pod, image string, mounts []string) {
	t.Helper()
	wantPod := map[string]any{
		"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "fsGroupChangePolicy": "OnRootMismatch",
		"seccompProfile": map[string]any{"type": "RuntimeDefault"},
	}
	if diff := cmp.Diff(wantPod, p.SecurityContext); diff != "" {
		t.Errorf("the pod's security context, -wanted +got:\n%s", diff)
	}
	c := p.Containers[0]
	wantContainer := map[string]any{
		"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
	}
	if diff := cmp.Diff(wantContainer, c.SecurityContext); diff != "" {
		t.Errorf("the container's security context, -wanted +got:\n%s", diff)
	}
	var mounted []string
	for _, m := range c.VolumeMounts {
		mounted = append(mounted, m["mountPath"].(string))
	}
	if diff := cmp.Diff(mounts, mounted); diff != "" || c.Image != image {
		t.Errorf("image %s, mounts, -wanted +got:\n%s", c.Image, diff)
	}
	runs(t, c.Args)
	ports := []map[string]any{{"name": "public", "containerPort": 8080}, {"name": "admin", "containerPort": 8081}}
	if diff := cmp.Diff(ports, c.Ports); diff != "" {
		t.Errorf("ports, -wanted +got:\n%s", diff)
	}
	live, ready := map[string]any{"path": "/healthz", "port": "admin"}, map[string]any{"path": "/readyz", "port": "admin"}
	if diff := cmp.Diff([]any{live, ready}, []any{c.LivenessProbe["httpGet"], c.ReadinessProbe["httpGet"]}); diff != "" {
		t.Errorf("probes, -wanted +got:\n%s", diff)
	}
}

func TestChartPostgres(t *testing.T) {
	t.Parallel()
	got := render(t, "postgres")
	if diff := cmp.Diff([]string{"ConfigMap web-onramp", "Deployment web-onramp", "Service web-onramp", "Service web-onramp-admin"}, names(got)); diff != "" {
		t.Fatalf("-wanted +got:\n%s", diff)
	}
	cfg := gateway(t, got)
	if cfg.Database != "postgres://onramp@db/onramp" || cfg.EncryptionKey.Reveal() != "key" {
		t.Errorf("the configuration is %+v", cfg)
	}
	deployment := got["Deployment web-onramp"].Spec
	if deployment.Replicas != 1 || deployment.Strategy.Type != "Recreate" {
		t.Errorf("%d replicas, strategy %q", deployment.Replicas, deployment.Strategy.Type)
	}
	checkPod(t, deployment.Template.Spec, "images.example.com/onramp@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		[]string{"/etc/onramp", "/run/secrets/onramp", "/run/secrets/onramp-database"})
}

// Mistakes in the values are refused before anything is installed.
func TestChartSchema(t *testing.T) {
	t.Parallel()
	helm := tooltest.Program(t, "helm")
	for _, test := range []struct{ set, want string }{
		{"existingSecret=", "existingSecret"},
		{"replicas=2", "replicas"},
		{"image.digest=sha256:short", "digest"},
		{"config.forms=null", "forms"},
		{"config.marketing_cloud=null", "marketing_cloud"},
	} {
		out, err := exec.Command(helm, "template", "web", "helm/onramp", "--values", "helm/onramp/ci/sqlite-values.yaml", "--set", test.set).CombinedOutput()
		if err == nil || !strings.Contains(string(out), test.want) {
			t.Errorf("--set %s: %v, and no word of %s:\n%s", test.set, err, test.want, out)
		}
	}
}
