{{- define "kinema.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "kinema.selector" -}}
app.kubernetes.io/name: kinema
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kinema.labels" -}}
{{ include "kinema.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "kinema.secret" -}}
{{- .Values.secret.existing | default (include "kinema.name" .) -}}
{{- end -}}

{{- define "kinema.claim" -}}
{{- .Values.persistence.existingClaim | default (include "kinema.name" .) -}}
{{- end -}}
