package remoting

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
