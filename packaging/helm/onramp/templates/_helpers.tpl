{{- define "onramp.name" -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "onramp.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "onramp.labels" -}}
{{ include "onramp.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "onramp.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* onramp.yaml: what the chart knows, and over it what the values say */}}
{{- define "onramp.config" -}}
{{- $secret := "${file:/run/secrets/onramp/%s}" -}}
{{- $known := dict
  "database" "/data/onramp.db"
  "public" (dict "listen" ":8080")
  "admin" (dict "listen" ":8081" "token" (printf $secret "admin-token"))
  "marketing_cloud" (dict "client_id" (printf $secret "client-id") "client_secret" (printf $secret "client-secret"))
-}}
{{- if .Values.database.existingSecret -}}
{{- $known = mergeOverwrite $known (dict
  "database" (printf "${file:/run/secrets/onramp-database/%s}" .Values.database.key)
  "encryption_key" (printf $secret "encryption-key")
) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $known (deepCopy .Values.config)) -}}
{{- end }}

{{/* the pod of both the StatefulSet and the Deployment */}}
{{- define "onramp.pod" -}}
metadata:
  labels: {{- include "onramp.labels" . | nindent 4 }}
  annotations:
    # a changed configuration starts the pod again
    checksum/config: {{ include "onramp.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  # longer than drain_timeout
  terminationGracePeriodSeconds: 40
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    # once, not at each start: Onramp keeps its files from others
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: onramp
      image: {{ include "onramp.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      env:
        - { name: ONRAMP_CONFIG, value: /etc/onramp/onramp.yaml }
      ports:
        - { name: public, containerPort: 8080 }
        - { name: admin, containerPort: 8081 }
      # a large database is checked, and after an upgrade changed, before Onramp serves
      startupProbe:
        httpGet: { path: /healthz, port: admin }
        periodSeconds: 5
        failureThreshold: 720
      # of the admin listener: that of the public one fails while the disk is full, which no restart mends
      livenessProbe:
        httpGet: { path: /healthz, port: admin }
        timeoutSeconds: 5
      readinessProbe:
        httpGet: { path: /readyz, port: admin }
        timeoutSeconds: 5
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      resources: {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - { name: config, mountPath: /etc/onramp, readOnly: true }
        - { name: secret, mountPath: /run/secrets/onramp, readOnly: true }
        {{- if .Values.database.existingSecret }}
        - { name: database, mountPath: /run/secrets/onramp-database, readOnly: true }
        {{- else }}
        - { name: data, mountPath: /data }
        {{- end }}
  volumes:
    - name: config
      configMap: { name: {{ include "onramp.name" . }} }
    - name: secret
      secret: { secretName: {{ .Values.existingSecret }}, defaultMode: 0440 }
    {{- if .Values.database.existingSecret }}
    - name: database
      secret: { secretName: {{ .Values.database.existingSecret }}, defaultMode: 0440 }
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
