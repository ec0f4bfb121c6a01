package remoting

import (
	"fmt"
	"strconv"
)

// Language is the implementation language of a frame's sender.
type Language uint8

// The languages that RocketMQ numbers. Source: LanguageCode (RocketMQ 5.3.3).
const (
	Java   Language = 0
	CPP    Language = 1
	DotNet Language = 2
	Python Language = 3
	Delphi Language = 4
	Erlang Language = 5
	Ruby   Language = 6
	Other  Language = 7
	HTTP   Language = 8
	Go     Language = 9
	PHP    Language = 10
	OMS    Language = 11
	Rust   Language = 12
	NodeJS Language = 13
)

// String returns the word that stands for l in JSON headers; a number that RocketMQ does not know is "OTHER".
func (l Language) String() string {
	switch l {
	case Java:
		return "JAVA"
	case CPP:
		return "CPP"
	case DotNet:
		return "DOTNET"
	case Python:
		return "PYTHON"
	case Delphi:
		return "DELPHI"
	case Erlang:
		return "ERLANG"
	case Ruby:
		return "RUBY"
	case HTTP:
		return "HTTP"
	case Go:
		return "GO"
	case PHP:
		return "PHP"
	case OMS:
		return "OMS"
	case Rust:
		return "RUST"
	case NodeJS:
		return "NODE_JS"
	}
	return "OTHER"
}

// languageOf is the inverse of String; a word that nobody knows is Other.
func languageOf(word []byte) Language {
	switch string(word) {
	case "JAVA":
		return Java
	case "CPP":
		return CPP
	case "DOTNET":
		return DotNet
	case "PYTHON":
		return Python
	case "DELPHI":
		return Delphi
	case "ERLANG":
		return Erlang
	case "RUBY":
		return Ruby
	case "HTTP":
		return HTTP
	case "GO":
		return Go
	case "PHP":
		return PHP
	case "OMS":
		return OMS
	case "RUST":
		return Rust
	case "NODE_JS":
		return NodeJS
	}
	return Other
}

// VersionName returns what RocketMQ calls the version with ordinal v, in lower case; the ordinal where it is older than 4.0.0.
// Source: MQVersion (RocketMQ 5.3.3): from 4.0.0 on a snapshot and a release of every version, three digits long.
func VersionName(v int16) string {
	const first, higher = 212, 612 // V4_0_0_SNAPSHOT, HIGHER_VERSION
	switch {
	case v >= higher:
		return "higher_version"
	case v < first:
		return strconv.Itoa(int(v))
	}
	number := 400 + int(v-first)/2
	name := fmt.Sprintf("v%d_%d_%d", number/100, number/10%10, number%10)
	if (v-first)%2 == 0 {
		name += "_snapshot"
	}
	return name
}
