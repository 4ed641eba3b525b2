-- A value of a variable has a whole scope where it had a list of environments: `"environments": [1]` becomes
-- `"scope": {"Environment": ["Environments-1"]}`, in the projects' sets and in the releases' copies of them.

update projects set variables = (
    select json_group_array(
        json_set(
            json_remove(variable.value, '$.environments'), '$.scope',
            json(case json_array_length(variable.value, '$.environments')
                when 0 then json('{}')
                else json_object('Environment', (
                    select json_group_array('Environments-' || environment.value)
                    from json_each(variable.value, '$.environments') environment
                ))
            end)
        )
        order by variable.key
    )
    from json_each(projects.variables) variable
);

update releases set variables = (
    select json_group_array(
        json_set(
            json_remove(variable.value, '$.environments'), '$.scope',
            json(case json_array_length(variable.value, '$.environments')
                when 0 then json('{}')
                else json_object('Environment', (
                    select json_group_array('Environments-' || environment.value)
                    from json_each(variable.value, '$.environments') environment
                ))
            end)
        )
        order by variable.key
    )
    from json_each(releases.variables) variable
);
