// Renders a chart's templates with Go's own engine and the functions Helm takes from sprig.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// toYaml writes the outermost map or list as a block and what is in it as JSON, which is YAML.
func toYaml(value interface{}) (string, error) {
	var lines []string
	switch outer := value.(type) {
	case map[string]interface{}:
		for name, inner := range outer {
			text, err := json.Marshal(inner)
			if err != nil {
				return "", err
			}
			lines = append(lines, name+": "+string(text))
		}
	case []interface{}:
		for _, inner := range outer {
			text, err := json.Marshal(inner)
			if err != nil {
				return "", err
			}
			lines = append(lines, "- "+string(text))
		}
	default:
		return "", fmt.Errorf("toYaml of %T", value)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n"), nil
}

func main() {
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	var top map[string]interface{}
	check(decoder.Decode(&top))
	all := template.New("chart")
	functions := sprig.TxtFuncMap()
	functions["include"] = func(name string, data interface{}) (string, error) {
		var text bytes.Buffer
		err := all.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	functions["toYaml"] = toYaml
	functions["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	functions["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	all.Funcs(functions).Option("missingkey=error")
	paths, err := filepath.Glob(filepath.Join(os.Args[1], "*"))
	check(err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		check(err)
		_, err = all.New(filepath.Base(path)).Parse(string(text))
		check(err)
	}
	made := map[string]string{}
	for _, path := range paths {
		if filepath.Ext(path) == ".tpl" {
			continue
		}
		var text bytes.Buffer
		check(all.ExecuteTemplate(&text, filepath.Base(path), top))
		made[filepath.Base(path)] = text.String()
	}
	check(json.NewEncoder(os.Stdout).Encode(made))
}
