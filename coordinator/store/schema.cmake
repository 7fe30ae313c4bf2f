# Writes ${FROM} as the C string schema_sql into ${TO}.
file(READ ${FROM} text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n\"" text "${text}")
file(WRITE ${TO} "static const char schema_sql[] = \"${text}\";\n")
